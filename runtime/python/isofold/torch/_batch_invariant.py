"""Isofold's kernels in the place of PyTorch's own.

PyTorch's dispatcher gets a kernel per operator and device that looks at the arguments and either computes the result or calls the
kernel that was there before. Kernels sit below autograd: a backward pass is PyTorch's own. aten::rms_norm alone is made of other
operators and has no backward of its own, so where a gradient is needed it stays as it is."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import threading
import warnings
from collections.abc import Iterable, Iterator

import torch

import isofold
from isofold import _core

from . import _functions, _library, _operators
from ._operators import NAMES, WIDE_NAMES

_MOST_ELEMENTS = 2147483647  # of a row


@dataclasses.dataclass
class Coverage:
    """What became of an operator's calls on one kind of device since the mode was enabled for the first time."""

    operator: str  # "aten::_softmax"
    device: str  # "cuda" or "cpu"
    takes: str  # what Isofold computes
    taken: int = 0  # calls that it computed
    passed: dict[str, int] = dataclasses.field(default_factory=dict)  # why others went to PyTorch: how many


class _Pass(Exception):
    """Carries why a call goes to PyTorch."""


def _check_dtype(x, names):
    if x.dtype not in names:
        raise _Pass(f"{x.dtype}")


def _check_length(x, axes):
    n = math.prod(x.size(axis) for axis in axes) if x.dim() else 1
    if n > _MOST_ELEMENTS:
        raise _Pass(f"rows of more than {_MOST_ELEMENTS} elements")


def _check_strided(*tensors):
    for tensor in tensors:
        if tensor is not None and tensor.layout is not torch.strided:
            raise _Pass(f"{tensor.layout}")


def _softmax(function):
    def compute(x, dim, half_to_float):
        _check_strided(x)
        _check_dtype(x, NAMES)
        if half_to_float and x.dtype == torch.float32:
            raise _Pass("half_to_float of float32")
        _check_length(x, (dim,))
        return function(x, dim, torch.float32 if half_to_float else None)

    return compute


def _reduction(function):
    def compute(x, dim=None, keepdim=False, *, dtype=None):
        _check_strided(x)
        _check_dtype(x, WIDE_NAMES)
        if dtype is not None and dtype not in WIDE_NAMES:
            raise _Pass(f"a result of {dtype}")
        _check_length(x, dim or range(x.dim()))
        return function(x, dim[0] if dim and len(dim) == 1 else dim, keepdim, dtype=dtype)

    return compute


def _rms_norm(x, normalized_shape, weight=None, eps=None):
    _check_strided(x, weight)
    _check_dtype(x, NAMES)
    if weight is not None and weight.dtype != x.dtype:
        raise _Pass(f"a weight of another dtype ({weight.dtype} for {x.dtype})")
    _check_length(x, range(-len(normalized_shape), 0))
    return _functions.rms_norm(x, normalized_shape, weight, eps)


def _with_statistics(n, dtypes, eps, ordinal):
    """layer_norm with the mean and the inverse deviation of each row as further results. PyTorch's own kernels give them in
    float32 on the GPU, and on the CPU where the weight is wider than x."""
    x, weight, bias = dtypes
    parameters = {dtype for dtype in (weight, bias) if dtype is not None}
    options = {"eps": eps, "weight": weight is not None, "bias": bias is not None}
    if parameters:
        options["weight_dtype"] = next(iter(parameters))
    statistics = "f32" if ordinal >= 0 or parameters - {x} else x
    spec = isofold.spec("layer_norm", n, x, **options)
    return _operators.find_spec(
        ordinal, spec.removesuffix(" }") + f"; mean: {statistics} = add(centre, rest); rstd: {statistics} = r }}"
    )


_eager_layer_norm = _core.Eager(_with_statistics, False).call


def _native_layer_norm(x, normalized_shape, weight, bias, eps):
    _check_strided(x, weight, bias)
    _check_dtype(x, NAMES)
    count, n = _functions.check_normalized(x, normalized_shape, weight, bias)
    dtypes = {tensor.dtype for tensor in (weight, bias) if tensor is not None}
    if len(dtypes) > 1 or not dtypes <= NAMES.keys():
        raise _Pass("weight and bias of " + " and ".join(str(tensor.dtype) for tensor in (weight, bias) if tensor is not None))
    _check_length(x, range(-count, 0))
    if n == 0:
        raise _Pass("rows without elements")
    statistics = torch.float32 if x.is_cuda or dtypes - {x.dtype} else x.dtype
    leading = x.shape[: x.dim() - count]
    mean, rstd = (x.new_empty((*leading, *(1,) * count), dtype=statistics) for _ in range(2))
    if count == 1:
        y = torch.empty_like(x)
        if _eager_layer_norm(x, weight, bias, n, eps, y, mean, rstd) is not NotImplemented:
            return y, mean, rstd
    y = x.new_empty(x.shape)
    rows = _library.rows(_functions.flat(x, count, n), n)
    inputs = [rows, *(_functions.flat(tensor, count, n).contiguous() for tensor in (weight, bias) if tensor is not None)]
    names = [None if tensor is None else NAMES[tensor.dtype] for tensor in (x, weight, bias)]
    operator = _with_statistics(n, names, eps, _operators.ordinal_of(x.device))
    _library.launch(operator, inputs, (y.view(rows.shape), mean.view(leading), rstd.view(leading)))
    return y, mean, rstd


_FLOATS = "float32, bfloat16, float16; any axis"
_KERNELS = {
    "_softmax": (_softmax(_functions.softmax), _FLOATS),
    "_log_softmax": (_softmax(_functions.log_softmax), _FLOATS),
    "mean.dim": (_reduction(_functions.mean), "float32, bfloat16, float16, float64; any axes"),
    "sum.dim_IntList": (_reduction(_functions.sum), "float32, bfloat16, float16, float64; any axes"),
    "native_layer_norm": (_native_layer_norm, "float32, bfloat16, float16"),
    "rms_norm": (_rms_norm, "float32, bfloat16, float16, a weight of the same dtype, no gradient"),
}
_KEYS = {"cuda": "CUDA", "cpu": "CPU"}

_lock = threading.Lock()
_counts = {}  # (operator, device): Coverage
_library_of_overrides = None
_enabled = []  # (operator, device) pairs of each enable that was not disabled


def _is_plain(*tensors):
    """Nobody has to see the call: neither a subclass nor a mode."""
    kinds = (torch.Tensor, torch.nn.Parameter)
    return torch._C._len_torch_dispatch_stack() == 0 and all(tensor is None or type(tensor) in kinds for tensor in tensors)


def _kernel(name, device, original):
    compute, takes = _KERNELS[name]
    counts = _counts.setdefault((name, device), Coverage(f"aten::{name}", device, takes))

    def kernel(keyset, x, *arguments, **named):
        try:
            if torch.is_grad_enabled():
                # Autograd has recorded what it needs above; here it would only refuse.
                with torch.no_grad():
                    result = compute(x, *arguments, **named)
            else:
                result = compute(x, *arguments, **named)
        except _Pass as reason:
            counts.passed[str(reason)] = counts.passed.get(str(reason), 0) + 1
            return original.call_boxed(keyset, x, *arguments, **named)
        counts.taken += 1
        return result

    return kernel


def _autograd_rms_norm(kernel, counts, original):
    def check(keyset, x, normalized_shape, weight=None, eps=None):
        reason = None
        if not _is_plain(x, weight):
            reason = "a tensor subclass or a mode of PyTorch's dispatcher"
        elif _library.is_differentiated((x,) if weight is None else (x, weight)):
            reason = "a gradient is needed"
        if reason:
            counts.passed[reason] = counts.passed.get(reason, 0) + 1
            return original.call_boxed(keyset, x, normalized_shape, weight, eps)
        return kernel(keyset, x, normalized_shape, weight, eps)

    return check


def _install(pairs):
    library = torch.library.Library("aten", "IMPL")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*Overriding a previously registered kernel", category=UserWarning)
            warnings.filterwarnings("ignore", message="Warning only once for all operators", category=UserWarning)
            for name, device in pairs:
                key = _KEYS[device]
                kernel = _kernel(name, device, torch.library.get_kernel(f"aten::{name}", key))
                if name == "rms_norm":
                    composed = torch.library.get_kernel("aten::rms_norm", f"Autograd{key}")
                    check = _autograd_rms_norm(kernel, _counts[name, device], composed)
                    library.impl(name, check, f"Autograd{key}", with_keyset=True, allow_override=False)
                library.impl(name, kernel, key, with_keyset=True, allow_override=False)
    except BaseException:
        library._destroy()
        raise
    return library


def _usable(devices):
    asked = tuple(_KEYS) if devices is None else (devices,) if isinstance(devices, str) else tuple(devices)
    found, reasons = [], []
    for device in asked:
        if device not in _KEYS:
            raise isofold.UsageError(f'devices has "{device}"; allowed are "cuda" and "cpu"')
        if device == "cuda" and not torch.cuda.is_available():
            reasons.append("cuda: PyTorch finds no GPU")
            continue
        try:
            _operators.runtime(device)
            found.append(device)
        except isofold.UsageError as error:
            reasons.append(f"{device}: {error}")
    if not found or (devices is not None and reasons):
        raise isofold.UsageError("batch-invariant mode cannot be enabled; " + "; ".join(reasons))
    return tuple(found)


def _named(operators):
    asked = (operators,) if isinstance(operators, str) else operators
    names = tuple(_KERNELS) if asked is None else tuple(name.removeprefix("aten::") for name in asked)
    for name in names:
        if name not in _KERNELS:
            raise isofold.UsageError(f'operators has "{name}"; allowed are {", ".join(_KERNELS)}')
    return names


def enable_batch_invariant_mode(devices: str | Iterable[str] | None = None, operators: str | Iterable[str] | None = None) -> None:
    """From now on these operators of PyTorch are Isofold's, in every thread of the process: aten::_softmax, _log_softmax,
    mean.dim, sum.dim_IntList, native_layer_norm, rms_norm. devices: "cuda", "cpu" or both; None: those that work. operators: the
    name of one, or the names of several of them; None: all. Calls nest: each takes one disable_batch_invariant_mode. Raises
    UsageError where nothing can be overridden, RuntimeError where other Python code has overridden one of the operators."""
    global _library_of_overrides
    with _lock:
        pairs = {(name, device) for device in _usable(devices) for name in _named(operators)}
        if not _enabled:
            _library_of_overrides = _install(sorted(pairs))
        elif not pairs <= _enabled[0]:
            raise isofold.UsageError("batch-invariant mode is enabled for fewer devices or operators; disable it first")
        _enabled.append(pairs)


def disable_batch_invariant_mode() -> None:
    """Puts PyTorch's own kernels back, when it was called as often as enable_batch_invariant_mode. Does nothing when the mode is
    not enabled."""
    global _library_of_overrides
    with _lock:
        if not _enabled:
            return
        _enabled.pop()
        if not _enabled:
            _library_of_overrides._destroy()
            _library_of_overrides = None


def is_batch_invariant_mode_enabled() -> bool:
    """Are PyTorch's operators overridden now?"""
    return bool(_enabled)


@contextlib.contextmanager
def batch_invariant_mode(devices: str | Iterable[str] | None = None, operators: str | Iterable[str] | None = None) -> Iterator[None]:
    """The mode for as long as a `with` block takes; arguments as of enable_batch_invariant_mode."""
    enable_batch_invariant_mode(devices, operators)
    try:
        yield
    finally:
        disable_batch_invariant_mode()


def coverage() -> list[Coverage]:
    """A list of Coverage: for every overridden operator and device what Isofold takes, how many calls it took, and why how many
    others went to PyTorch. Counts go on until the process ends."""
    with _lock:
        return [dataclasses.replace(counts, passed=dict(counts.passed)) for counts in _counts.values()]
