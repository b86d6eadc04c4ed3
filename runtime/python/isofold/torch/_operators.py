"""Runtimes and operators that every function of this package shares."""

from __future__ import annotations

import threading

import torch

import isofold

_lock = threading.Lock()
_runtimes = {}
_operators = {}

# What PyTorch calls the dtypes that rows may have.
NAMES = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}
WIDE_NAMES = {**NAMES, torch.float64: "f64"}


def ordinal_of(device):
    """Number of a CUDA device, -1 of the CPU; UsageError for any other."""
    device = torch.device(device)
    if device.type == "cpu":
        return -1
    if device.type != "cuda":
        raise isofold.UsageError(f"device is {device}; Isofold works on cuda and cpu")
    return torch.cuda.current_device() if device.index is None else device.index


def runtime(device: torch.device | str) -> isofold.Runtime:
    """The Runtime that the functions of isofold.torch use on that device (a torch.device or its name)."""
    return _runtime(ordinal_of(device))


def _runtime(ordinal):
    with _lock:
        found = _runtimes.get(ordinal)
        if found is None:
            found = isofold.Runtime(device="cpu" if ordinal < 0 else f"cuda:{ordinal}")
            _runtimes[ordinal] = found
        return found


def find(ordinal, name, n, dtype, options=()):
    """The operator, made once for equal arguments. `options`: pairs of a name and a value."""
    key = (ordinal, name, n, dtype, options)
    found = _operators.get(key)
    if found is None:
        made = _runtime(ordinal).operator(name, n=n, dtype=dtype, **dict(options))
        with _lock:
            found = _operators.setdefault(key, made)
    return found


def find_spec(ordinal, text):
    """The same for a Spec."""
    key = (ordinal, text)
    found = _operators.get(key)
    if found is None:
        made = _runtime(ordinal).operator(text)
        with _lock:
            found = _operators.setdefault(key, made)
    return found


def dtype_name(tensor, name, names=NAMES):
    """Isofold's name of a tensor's dtype; UsageError that says what is allowed."""
    found = names.get(tensor.dtype)
    if found is None:
        allowed = ", ".join(str(dtype) for dtype in names)
        raise isofold.UsageError(f"{name} is {tensor.dtype}; allowed are {allowed}")
    return found


def norm_options(
    eps, x, weight, *, bias=None, residual=None, weight_mode="f32", weight_offset_one=False, residual_mode="f32_sum"
):
    """Options of a norm over these tensors, without those that are the default."""
    options = [("eps", eps)]
    parameter = weight if weight is not None else bias
    if weight is None:
        options.append(("weight", False))
    if parameter is not None and parameter.dtype != x.dtype:
        options.append(("weight_dtype", dtype_name(parameter, "weight")))
    if residual is not None and residual.dtype != x.dtype:
        options.append(("residual_dtype", dtype_name(residual, "residual")))
    if weight_mode != "f32":
        options.append(("weight_mode", weight_mode))
    if weight_offset_one:
        options.append(("weight_offset_one", True))
    if residual_mode != "f32_sum":
        options.append(("residual_mode", residual_mode))
    return tuple(options)


_SIZES = {"f32": 4, "bf16": 2, "f16": 2, "f64": 8}


def prepare_up_to(max_tokens: int) -> None:
    """Loads what the operators that calls have used until now need for every number of rows from 1 to max_tokens, so that no
    later call with dense tensors compiles: a capture into a CUDA graph cannot. Raises UsageError for max_tokens below 1."""
    with _lock:
        used = list(_operators.values())
    for operator in used:
        rows = [_SIZES[tensor.dtype] for tensor in (*operator.inputs, *operator.outputs) if tensor.extent in ("row", "column")]
        # Of dense rows every address and distance is a multiple of this, and at least of an element.
        alignment = min(16, *((operator.n * size & -(operator.n * size)) or 16 for size in rows))
        operator.prepare_up_to(max_tokens, alignment=max(alignment, *rows))
