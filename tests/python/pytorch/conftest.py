import os
import tempfile

# What torch.compile makes here stays out of the user's cache, and what others left there out of the tests.
_inductor = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
os.environ["TORCHINDUCTOR_CACHE_DIR"] = _inductor.name

import pytest
import torch

import isofold
import isofold.torch


def _devices():
    found = []
    for device in ("cpu", "cuda"):
        if device == "cuda" and not torch.cuda.is_available():
            continue
        try:
            isofold.torch.runtime(device)
            found.append(device)
        except isofold.UsageError:
            pass
    return found


DEVICES = _devices()


@pytest.fixture(params=DEVICES or [pytest.param(None, marks=pytest.mark.skip("neither a CPU backend nor a GPU"))])
def device(request):
    """Every device that Isofold and PyTorch can use here."""
    return request.param


@pytest.fixture
def cuda():
    if "cuda" not in DEVICES:
        pytest.skip("no GPU that PyTorch and Isofold can use")
    return "cuda"


@pytest.fixture(autouse=True)
def no_gradients(request):
    """Tests run as inference does, unless they say otherwise."""
    torch.manual_seed(0)
    torch.compiler.reset()
    with torch.set_grad_enabled("gradients" in request.keywords):
        yield
    while isofold.torch.is_batch_invariant_mode_enabled():
        isofold.torch.disable_batch_invariant_mode()


def pytest_configure(config):
    config.addinivalue_line("markers", "gradients: runs with gradients enabled")
