"""Isofold for PyTorch: functions whose rows have the same bits in every batch, and a mode that puts them in the place of PyTorch's."""

try:
    import torch as _torch
except ImportError as _error:
    raise ImportError("isofold.torch needs PyTorch 2.10 or later, which is not installed") from _error
if not hasattr(_torch.Tensor, "__dlpack_c_exchange_api__") or not hasattr(_torch.library, "get_kernel"):
    raise ImportError(f"isofold.torch needs PyTorch 2.10 or later, this is {_torch.__version__}")

from ._batch_invariant import (
    Coverage,
    batch_invariant_mode,
    coverage,
    disable_batch_invariant_mode,
    enable_batch_invariant_mode,
    is_batch_invariant_mode_enabled,
)
from ._functions import fused_add_rms_norm, layer_norm, log_softmax, mean, rms_norm, softmax, sum
from ._operators import prepare_up_to, runtime

__all__ = [
    "Coverage",
    "batch_invariant_mode",
    "coverage",
    "disable_batch_invariant_mode",
    "enable_batch_invariant_mode",
    "fused_add_rms_norm",
    "is_batch_invariant_mode_enabled",
    "layer_norm",
    "log_softmax",
    "mean",
    "prepare_up_to",
    "rms_norm",
    "runtime",
    "softmax",
    "sum",
]
