"""Operators of PyTorch's dispatcher, torch.ops.isofold: what torch.compile, modes and transforms see."""

import torch
from torch.autograd import forward_ad

import isofold

from ._operators import NAMES, WIDE_NAMES, dtype_name, find, norm_options, ordinal_of

_library = torch.library.Library("isofold", "DEF")
_DEVICES = ("CPU", "CUDA")


def rows(x, n):
    """x as rows that a launch can take: x itself, or a copy where its last axis or its rows have no one distance."""
    if x.is_contiguous() or x.dim() == 0:
        return x.contiguous()
    if n > 1 and x.stride(-1) != 1:
        return x.contiguous()
    count, distance = 1, 0
    for size, stride in zip(reversed(x.shape[:-1]), reversed(x.stride()[:-1])):
        if size == 1:
            continue
        if count == 1:
            distance = stride
        elif stride != count * distance:
            return x.contiguous()
        count *= size
    return x if count <= 1 or distance >= n else x.contiguous()


def _row_length(x, name):
    if x.dim() == 0:
        raise isofold.UsageError(f"{name} has no dimensions; its last one is the row")
    return x.size(-1)


def launch(operator, inputs, outputs):
    """Launches over tensors in the operator's order; inputs that are None are left out. The first input has rows."""
    named = {}
    bytes = operator.workspace_bytes(inputs[0].numel() // max(1, operator.n))
    if bytes > 0:
        named["workspace"] = torch.empty(bytes, dtype=torch.uint8, device=inputs[0].device)
    operator.launch(*(tensor for tensor in inputs if tensor is not None), *outputs, **named)


def _column(weight, n, name="weight"):
    """A weight as launches take it, or None."""
    if weight is None:
        return None
    if tuple(weight.shape) != (n,):
        raise isofold.UsageError(f"{name} has shape {list(weight.shape)}, it must be [{n}]")
    return weight.contiguous()


def _rms_norm(x, weight, eps, weight_mode, weight_offset_one, out):
    n = _row_length(x, "x")
    options = norm_options(eps, x, weight, weight_mode=weight_mode, weight_offset_one=weight_offset_one)
    operator = find(ordinal_of(x.device), "rms_norm", n, dtype_name(x, "x"), options)
    launch(operator, (rows(x, n), _column(weight, n)), (out,))


def _add_rms_norm(x, residual, weight, eps, weight_mode, weight_offset_one, residual_mode, y, residual_out):
    n = _row_length(x, "x")
    options = norm_options(
        eps,
        x,
        weight,
        residual=residual,
        weight_mode=weight_mode,
        weight_offset_one=weight_offset_one,
        residual_mode=residual_mode,
    )
    operator = find(ordinal_of(x.device), "add_rms_norm", n, dtype_name(x, "x"), options)
    # In place: a copy would not be written to.
    inputs = (x, residual) if y is x else (rows(x, n), rows(residual, n))
    launch(operator, (*inputs, _column(weight, n)), (y, residual_out))


def _layer_norm(x, weight, bias, eps, out):
    n = _row_length(x, "x")
    options = norm_options(eps, x, weight, bias=bias)
    if weight is not None and bias is not None and weight.dtype != bias.dtype:
        raise isofold.UsageError(f"weight is {weight.dtype}, bias {bias.dtype}; they must have the same dtype")
    if bias is None:
        options += (("bias", False),)
    operator = find(ordinal_of(x.device), "layer_norm", n, dtype_name(x, "x"), options)
    launch(operator, (rows(x, n), _column(weight, n), _column(bias, n, "bias")), (out,))


def _of_dtype(name, x, out, names=NAMES):
    """A function of x alone, with a result of another dtype where `out` has one."""
    n = _row_length(x, "x")
    options = () if out.dtype == x.dtype else (("output_dtype", dtype_name(out, "the result", names)),)
    launch(find(ordinal_of(x.device), name, n, dtype_name(x, "x", names), options), (rows(x, n),), (out,))


def _like(x, dtype=None):
    return x.new_empty(x.shape, dtype=dtype or x.dtype)


def _reduced(x, dtype=None):
    return x.new_empty(x.shape[:-1], dtype=dtype or x.dtype)


def is_differentiated(tensors):
    """Does PyTorch want derivatives with respect to one of them, backward or forward?"""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return True
    return forward_ad._current_level >= 0 and any(forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors)


def _differentiated(operator):
    """What PyTorch calls where derivatives may be asked for: the operators have none."""

    def check(*arguments, **named):
        if is_differentiated([one for one in (*arguments, *named.values()) if isinstance(one, torch.Tensor)]):
            raise isofold.UsageError(
                f"{operator} is forward only, and one of its tensors requires a gradient: call it under torch.no_grad() or "
                "torch.inference_mode(), or detach the tensor"
            )
        with torch._C._AutoDispatchBelowAutograd():
            return operator(*arguments, **named)

    return check


def _on_one_device(name, fake):
    """`fake` behind a check: PyTorch calls it, not a kernel, where one tensor of several is on meta."""

    def check(*arguments, **named):
        devices = {str(one.device) for one in (*arguments, *named.values()) if isinstance(one, torch.Tensor)}
        if len(devices) > 1:
            raise isofold.UsageError(f"{name}: its tensors are on {' and '.join(sorted(devices))}, they must be on one device")
        return fake(*arguments, **named)

    return check


def _define(schema, kernel, fake):
    name = schema.partition("(")[0]
    _library.define(schema, tags=torch.Tag.pt2_compliant_tag)
    for device in _DEVICES:
        _library.impl(name, kernel, device)
    torch.library.register_fake(f"isofold::{name}", _on_one_device(name, fake), lib=_library)
    packet, _, overload = name.partition(".")
    operator = getattr(getattr(torch.ops.isofold, packet), overload or "default")
    _library.impl(name, _differentiated(operator), "Autograd")


def _define_both(name, inputs, launch, result):
    """The functional operator, and .out with a result that the caller made. `launch` takes the inputs and the result."""

    def functional(*arguments, **named):
        out = result(*arguments, **named)
        launch(*arguments, **named, out=out)
        return out

    def into(*arguments, out, **named):
        launch(*arguments, **named, out=out)

    def fake_into(*arguments, out, **named):
        return None

    _define(f"{name}({inputs}) -> Tensor", functional, lambda *arguments, **named: result(*arguments, **named))
    separator = ", " if "*" in inputs else ", *, "
    _define(f"{name}.out({inputs}{separator}Tensor(a!) out) -> ()", into, fake_into)


_VARIANTS = 'str weight_mode="f32", bool weight_offset_one=False'

_define_both(
    "rms_norm",
    f"Tensor x, Tensor? weight, float eps, {_VARIANTS}",
    lambda x, weight, eps, weight_mode="f32", weight_offset_one=False, *, out: _rms_norm(
        x, weight, eps, weight_mode, weight_offset_one, out
    ),
    lambda x, *_, **__: _like(x),
)
_define_both(
    "layer_norm",
    "Tensor x, Tensor? weight, Tensor? bias, float eps",
    lambda x, weight, bias, eps, *, out: _layer_norm(x, weight, bias, eps, out),
    lambda x, *_: _like(x),
)
for _name in ("softmax", "log_softmax"):
    _define_both(
        _name,
        "Tensor x, *, ScalarType? dtype=None",
        lambda x, *, dtype=None, out, name=_name: _of_dtype(name, x, out),
        lambda x, *, dtype=None: _like(x, dtype),
    )
for _name in ("mean", "sum"):
    _define_both(
        _name,
        "Tensor x, *, ScalarType? dtype=None",
        lambda x, *, dtype=None, out, name=_name: _of_dtype(name, x, out, WIDE_NAMES),
        lambda x, *, dtype=None: _reduced(x, dtype),
    )


def _add_rms_norm_functional(x, residual, weight, eps, weight_mode="f32", weight_offset_one=False, residual_mode="f32_sum"):
    y, residual_out = _like(x), _like(residual)
    _add_rms_norm(x, residual, weight, eps, weight_mode, weight_offset_one, residual_mode, y, residual_out)
    return y, residual_out


def _add_rms_norm_in_place(x, residual, weight, eps, weight_mode="f32", weight_offset_one=False, residual_mode="f32_sum"):
    _add_rms_norm(x, residual, weight, eps, weight_mode, weight_offset_one, residual_mode, x, residual)


_define(
    f'add_rms_norm(Tensor x, Tensor residual, Tensor? weight, float eps, {_VARIANTS}, str residual_mode="f32_sum") -> (Tensor, Tensor)',
    _add_rms_norm_functional,
    lambda x, residual, *_, **__: (_like(x), _like(residual)),
)
_define(
    f'fused_add_rms_norm(Tensor(a!) x, Tensor(b!) residual, Tensor? weight, float eps, {_VARIANTS}, str residual_mode="f32_sum") -> ()',
    _add_rms_norm_in_place,
    lambda *_, **__: None,
)
