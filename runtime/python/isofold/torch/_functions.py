"""Functions with the signatures of torch and torch.nn.functional, whose rows have the same bits in every batch.

Each goes the direct way, from Python into C++ and on to the kernel, unless somebody has to see it in PyTorch's dispatcher
(torch.compile, modes, transforms, FakeTensors) or a tensor has to be copied or refused first."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence

import torch

import isofold
from isofold import _core

from . import _library, _operators  # _library defines torch.ops.isofold
from ._operators import NAMES, WIDE_NAMES

# What torch.compile traces answers True to it, so that no trace meets a direct call. torch.compiler.is_compiling also knows of
# export, whose modes direct calls ask for by themselves, and takes five times as long.
_is_traced = torch.compiler.is_dynamo_compiling
_ops = torch.ops.isofold
# Every dtype by Isofold's name, to every wider one: the function of the wider numbers has the same bits.
_WIDENED = {(torch.bfloat16, torch.float32), (torch.float16, torch.float32)}

_core._use_torch(
    {
        "tensor": torch.Tensor,
        "parameter": torch.nn.Parameter,
        "grad_enabled": torch.is_grad_enabled,
        "tracing": torch._C._is_tracing,
        "dispatch_modes": torch._C._len_torch_dispatch_stack,
        "transforming": torch._C._are_functorch_transforms_active,
        "forward_ad": torch.autograd.forward_ad,
        "empty_like": torch.empty_like,
    }
)


def _norm_resolver(name, tensors, variants=()):
    """Finds the operator for a direct call. `tensors`: what stands behind x, in the order of the call."""

    def resolve(n, dtypes, eps, ordinal):
        given = dict(zip(("x", *tensors), dtypes))
        if any(dtype not in (None, "f32", "bf16", "f16") for dtype in dtypes):
            return None
        options = [("eps", eps)]
        if given.get("weight") is None:
            options.append(("weight", False))
        if "bias" in given and given["bias"] is None:
            options.append(("bias", False))
        parameters = {dtype for key, dtype in given.items() if key in ("weight", "bias") and dtype is not None}
        if len(parameters) > 1:
            return None
        if parameters - {given["x"]}:
            options.append(("weight_dtype", parameters.pop()))
        if given.get("residual") not in (None, given["x"]):
            options.append(("residual_dtype", given["residual"]))
        return _operators.find(ordinal, name, n, given["x"], (*options, *variants))

    return resolve


def _plain_resolver(name, names):
    allowed = set(names.values())

    def resolve(n, dtypes, eps, ordinal):
        return _operators.find(ordinal, name, n, dtypes[0]) if dtypes[0] in allowed else None

    return resolve


def _eager(resolve, reduces=False):
    return _core.Eager(resolve, reduces).call


_variants = {}


def _eager_norm(name, tensors, weight_mode, weight_offset_one, residual_mode="f32_sum"):
    key = (name, weight_mode, weight_offset_one, residual_mode)
    found = _variants.get(key)
    if found is None:
        given = (
            ("weight_mode", weight_mode, "f32"),
            ("weight_offset_one", weight_offset_one, False),
            ("residual_mode", residual_mode, "f32_sum"),
        )
        options = tuple((option, value) for option, value, default in given if value != default)
        found = _variants.setdefault(key, _eager(_norm_resolver(name, tensors, options)))
    return found


_eager_rms_norm = _eager_norm("rms_norm", ("weight",), "f32", False)
_eager_add_rms_norm = _eager_norm("add_rms_norm", ("residual", "weight"), "f32", False)
_eager_layer_norm = _eager(_norm_resolver("layer_norm", ("weight", "bias")))
_eager_softmax = _eager(_plain_resolver("softmax", NAMES))
_eager_log_softmax = _eager(_plain_resolver("log_softmax", NAMES))
_eager_mean = _eager(_plain_resolver("mean", WIDE_NAMES), reduces=True)
_eager_sum = _eager(_plain_resolver("sum", WIDE_NAMES), reduces=True)


def _check_tensors(input, **others):
    for name, tensor in (("input", input), *others.items()):
        if not isinstance(tensor, torch.Tensor) and (tensor is not None or name == "input"):
            raise TypeError(f"{name} is {type(tensor)}, it must be a torch.Tensor")


def _check_out(out, shape, dtype):
    if out is not None and tuple(out.shape) != tuple(shape):
        raise isofold.UsageError(f"out has shape {list(out.shape)}, the result has {list(shape)}")
    if out is not None and out.dtype != dtype:
        raise isofold.UsageError(f"out is {out.dtype}, the result {dtype}")


def _result_dtype(dtype, out):
    """Of a function that takes a dtype: out's is as good. None: the input's."""
    if out is None or dtype is None or out.dtype == dtype:
        return dtype if out is None else out.dtype
    raise isofold.UsageError(f"out is {out.dtype}, dtype {dtype}")


def _finish(result, out):
    if out is None:
        return result
    _check_out(out, result.shape, result.dtype)
    return out.copy_(result)


def flat(tensor, count, n):
    """The last `count` dimensions as one."""
    return tensor if tensor is None or count == 1 else tensor.reshape(*tensor.shape[: tensor.dim() - count], n)


def check_normalized(input, normalized_shape, *parameters):
    if isinstance(normalized_shape, int):
        raise TypeError(f"normalized_shape is {normalized_shape}, it must be a sequence of sizes: ({normalized_shape},)")
    shape = tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape or input.dim() < len(shape):
        raise isofold.UsageError(f"normalized_shape is {list(shape)}, input's shape {list(input.shape)} does not end with it")
    for name, parameter in zip(("weight", "bias"), parameters):
        if parameter is not None and tuple(parameter.shape) != shape:
            raise isofold.UsageError(f"{name} has shape {list(parameter.shape)}, it must be {list(shape)}")
    n = 1
    for size in shape:
        n *= size
    return len(shape), n


def rms_norm(
    input: torch.Tensor,
    normalized_shape: Sequence[int],
    weight: torch.Tensor | None = None,
    eps: float | None = None,
    *,
    weight_mode: str = "f32",
    weight_offset_one: bool = False,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """input / sqrt(mean(input^2) + eps) * weight, as torch.nn.functional.rms_norm. eps: torch.finfo(float32).eps when None.
    weight_mode "after_cast" rounds to the dtype before the weight multiplies; weight_offset_one multiplies by 1 + weight."""
    if eps is None:
        eps = 1.1920928955078125e-07
    if not _is_traced() and type(normalized_shape) is not int and len(normalized_shape) == 1:
        eager = _eager_rms_norm
        if weight_mode != "f32" or weight_offset_one:
            eager = _eager_norm("rms_norm", ("weight",), weight_mode, weight_offset_one)
        result = eager(input, weight, None, normalized_shape[0], eps, out, None, None)
        if result is not NotImplemented:
            return result
    _check_tensors(input, weight=weight, out=out)
    count, n = check_normalized(input, normalized_shape, weight)
    _check_out(out, input.shape, input.dtype)
    x, w = flat(input, count, n), flat(weight, count, n)
    if out is not None and count == 1:
        _ops.rms_norm.out(x, w, eps, weight_mode, weight_offset_one, out=out)
        return out
    result = _ops.rms_norm(x, w, eps, weight_mode, weight_offset_one)
    return _finish(result if count == 1 else result.view(input.shape), out)


def fused_add_rms_norm(
    input: torch.Tensor,
    residual: torch.Tensor,
    weight: torch.Tensor | None = None,
    eps: float = 1e-6,
    *,
    weight_mode: str = "f32",
    weight_offset_one: bool = False,
    residual_mode: str = "f32_sum",
) -> None:
    """In place, over the last axis: residual becomes input + residual, input becomes rms_norm of that sum. residual_mode
    "rounded_sum" normalises the sum as it is stored, "f32_sum" before it is rounded. Returns None."""
    if not _is_traced():
        eager = _eager_add_rms_norm
        if weight_mode != "f32" or weight_offset_one or residual_mode != "f32_sum":
            eager = _eager_norm("add_rms_norm", ("residual", "weight"), weight_mode, weight_offset_one, residual_mode)
        if eager(input, residual, weight, None, eps, input, residual, None) is not NotImplemented:
            return
    _check_tensors(input, residual=residual, weight=weight)
    _ops.fused_add_rms_norm(input, residual, weight, eps, weight_mode, weight_offset_one, residual_mode)


def layer_norm(
    input: torch.Tensor,
    normalized_shape: Sequence[int],
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
    *,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """(input - mean) / sqrt(variance + eps) * weight + bias, as torch.nn.functional.layer_norm."""
    if not _is_traced() and type(normalized_shape) is not int and len(normalized_shape) == 1:
        result = _eager_layer_norm(input, weight, bias, normalized_shape[0], eps, out, None, None)
        if result is not NotImplemented:
            return result
    _check_tensors(input, weight=weight, bias=bias, out=out)
    count, n = check_normalized(input, normalized_shape, weight, bias)
    _check_out(out, input.shape, input.dtype)
    x, w, b = flat(input, count, n), flat(weight, count, n), flat(bias, count, n)
    if out is not None and count == 1:
        _ops.layer_norm.out(x, w, b, eps, out=out)
        return out
    result = _ops.layer_norm(x, w, b, eps)
    return _finish(result if count == 1 else result.view(input.shape), out)


def _axis(input, dim):
    dimensions = max(1, input.dim())
    if not -dimensions <= dim < dimensions:
        raise isofold.UsageError(f"dim is {dim}, input has {input.dim()} dimensions")
    return dim % dimensions


def _softmax(name, input, dim, dtype, out):
    if dim is None:
        raise isofold.UsageError(f"{name} needs dim")
    _check_tensors(input, out=out)
    axis = _axis(input, dim)
    result_dtype = _result_dtype(dtype, out)
    function = getattr(_ops, name)
    x = input
    if dtype is not None and dtype != x.dtype and (x.dtype, dtype) not in _WIDENED:
        x = x.to(dtype)
    if input.dim() == 0:
        return _finish(function(x.reshape(1), dtype=result_dtype).reshape(()), out)
    last = axis == input.dim() - 1
    if out is not None and last:
        _check_out(out, x.shape, result_dtype)
        function.out(x, dtype=result_dtype, out=out)
        return out
    result = function(x if last else x.movedim(axis, -1), dtype=result_dtype)
    return _finish(result if last else result.movedim(-1, axis), out)


def softmax(
    input: torch.Tensor, dim: int, dtype: torch.dtype | None = None, *, out: torch.Tensor | None = None
) -> torch.Tensor:
    """exp(input - max) / sum(exp(input - max)) along dim, as torch.softmax. Other axes than the last are copied."""
    if dtype is None and dim is not None and (dim == -1 or dim + 1 == input.dim()) and not _is_traced():
        result = _eager_softmax(input, None, None, None, 0.0, out, None, None)
        if result is not NotImplemented:
            return result
    return _softmax("softmax", input, dim, dtype, out)


def log_softmax(
    input: torch.Tensor, dim: int, dtype: torch.dtype | None = None, *, out: torch.Tensor | None = None
) -> torch.Tensor:
    """input - max - log(sum(exp(input - max))) along dim, as torch.log_softmax. Other axes than the last are copied."""
    if dtype is None and dim is not None and (dim == -1 or dim + 1 == input.dim()) and not _is_traced():
        result = _eager_log_softmax(input, None, None, None, 0.0, out, None, None)
        if result is not NotImplemented:
            return result
    return _softmax("log_softmax", input, dim, dtype, out)


def _reduction(name, eager, input, dim, keepdim, dtype, out):
    if dtype is None and type(dim) is int and (dim == -1 or dim + 1 == input.dim()) and not _is_traced():
        if not keepdim or out is None:
            result = eager(input, None, None, None, 0.0, out, None, None)
            if result is not NotImplemented:
                return result.unsqueeze(-1) if keepdim else result
    _check_tensors(input, out=out)
    result_dtype = _result_dtype(dtype, out)
    if dim is not None and not isinstance(dim, int) and not isinstance(dim, Iterable):
        dim = operator.index(dim)  # NumPy's numbers
    dims = (dim,) if isinstance(dim, int) else tuple(dim or ())
    axes = sorted({_axis(input, one) for one in dims} or range(input.dim()))
    if len(axes) < len(dims):
        raise isofold.UsageError(f"dim is {list(dims)}, an axis is named twice")
    reduce = getattr(_ops, name)
    x = input
    if dtype is not None and dtype != x.dtype and (x.dtype, dtype) not in _WIDENED:
        x = x.to(dtype)
    if x.dim() == 0:
        x = x.reshape(1)
        axes = [0]
    kept = [axis for axis in range(x.dim()) if axis not in axes]
    shape = [x.size(axis) for axis in kept]
    n = 1
    for axis in axes:
        n *= x.size(axis)
    if kept + axes != list(range(x.dim())):
        x = x.permute(kept + axes)
    if len(axes) > 1:
        x = x.reshape(*shape, n)
    if out is not None and not keepdim:
        _check_out(out, shape, result_dtype)
        reduce.out(x, dtype=result_dtype, out=out)
        return out
    result = reduce(x, dtype=result_dtype)
    if keepdim:
        result = result.reshape([1 if axis in axes else input.size(axis) for axis in range(input.dim())])
    return _finish(result, out)


def mean(
    input: torch.Tensor,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Sum / count along dim (an axis, several, or all for None), as torch.mean. What is not the last axis is copied."""
    return _reduction("mean", _eager_mean, input, dim, keepdim, dtype, out)


def sum(
    input: torch.Tensor,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Sum along dim (an axis, several, or all for None), as torch.sum. What is not the last axis is copied."""
    return _reduction("sum", _eager_sum, input, dim, keepdim, dtype, out)
