"""PyTorch, where it can be used."""
import importlib.util
import sys


def torch_or_reason(device):
    """The module and None; or None and why it cannot run on `device` ("cuda" or "cpu")."""
    if importlib.util.find_spec("torch") is None:
        return None, "PyTorch is not installed for " + sys.executable
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        return None, f"PyTorch {torch.__version__} finds no GPU"
    return torch, None
