"""Isofold's named operators as PyTorch has them: its own kernel where there is one, else a composition of its kernels.

Each takes the operator's tensors by name, rows as [tokens, N], columns as [N] or [groups, N], one number per token as
[tokens], one for all as [] (whole numbers as int64), and returns a tuple of results in the operator's order. PyTorch's
cross entropy gives the loss alone.
"""
import torch
import torch.nn.functional as F

RMS_EPS, LAYER_EPS = 1e-6, 1e-5
SCALE_FLOOR = 1 / (448 * 512)
DTYPES = {
    "f64": torch.float64,
    "f32": torch.float32,
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "i32": torch.int32,
    "e4m3": torch.float8_e4m3fn,
    "i8": torch.int8,
}


def shape_of(extent, groups, tokens, n):
    """Of a tensor: `groups` counts where columns have several rows."""
    column = (n,) if groups == 1 else (groups, n)
    return {"row": (tokens, n), "column": column, "token": (tokens,), "scalar": ()}[extent]


def rms_norm(x, weight):
    return (F.rms_norm(x, weight.shape, weight, RMS_EPS),)


def add_rms_norm(x, residual, weight):
    h = x + residual
    return *rms_norm(h, weight), h


def eager_rms_norm(x, weight):
    """As Hugging Face's models write it."""
    wide = x.to(torch.float32)
    wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + RMS_EPS)
    return (weight * wide.to(x.dtype),)


def eager_add_rms_norm(x, residual, weight):
    h = x + residual
    return *eager_rms_norm(h, weight), h


def gated_rms_norm(x, gate, weight):
    (y,) = rms_norm(x, weight)
    return (y * F.silu(gate),)


def quantised(value, dtype):
    largest = 448 if dtype is torch.float8_e4m3fn else 127
    wide = value.float()
    scale = (wide.abs().amax(-1, keepdim=True) / largest).clamp(min=SCALE_FLOOR)
    narrow = (wide / scale).clamp(-largest, largest)
    return (narrow.round() if dtype is torch.int8 else narrow).to(dtype), scale.squeeze(-1)


def rms_norm_quant(x, weight):
    return quantised(*rms_norm(x, weight), torch.float8_e4m3fn)


def rms_norm_quant_i8(x, weight):
    return quantised(*rms_norm(x, weight), torch.int8)


def add_rms_norm_quant(x, residual, weight):
    h = x + residual
    return *rms_norm_quant(h, weight), h


def silu_and_mul_quant(gate, up):
    return quantised(F.silu(gate) * up, torch.float8_e4m3fn)


def static_quantised(value, scale):
    return ((value.float() / scale).clamp(-448, 448).to(torch.float8_e4m3fn),)


def rms_norm_static_quant(x, weight, scale):
    return static_quantised(*rms_norm(x, weight), scale)


def silu_and_mul_static_quant(gate, up, scale):
    return static_quantised(F.silu(gate) * up, scale)


def group_norm(x, weight, bias):
    """As many rows as there are groups are one row of PyTorch's."""
    large = x.reshape(-1, weight.numel())
    return (F.group_norm(large, weight.shape[0], weight.flatten(), bias.flatten(), LAYER_EPS).reshape(x.shape),)


def layer_norm(x, weight, bias):
    return (F.layer_norm(x, weight.shape, weight, bias, LAYER_EPS),)


def add_layer_norm(x, residual, weight, bias):
    h = x + residual
    return *layer_norm(h, weight, bias), h


def softmax(x):
    return (F.softmax(x, -1),)


def log_softmax(x):
    return (F.log_softmax(x, -1),)


def masked_softmax(x, length):
    behind = torch.arange(x.shape[-1], device=x.device) >= length[:, None]
    return (F.softmax(x.masked_fill(behind, float("-inf")), -1),)


def sink_softmax(x, sink):
    """As Hugging Face's gpt-oss writes it: the sink is one more element of the row."""
    return (F.softmax(torch.cat([x, sink[:, None].to(x.dtype)], -1), -1)[:, :-1],)


def cross_entropy(x, target):
    return (F.cross_entropy(x, target, reduction="none"),)


def wide_cross_entropy(x, target):
    """With results in f32, as Isofold's are."""
    wide = x.float()
    return F.cross_entropy(wide, target, reduction="none"), torch.logsumexp(wide, -1)


def row_sum(x):
    return (x.sum(-1),)


def row_mean(x):
    return (x.mean(-1),)


def row_max(x):
    return (x.amax(-1),)


def row_min(x):
    return (x.amin(-1),)


def row_amax(x):
    return (torch.linalg.vector_norm(x, float("inf"), -1),)


def row_norm2(x):
    return (torch.linalg.vector_norm(x, 2, -1),)


def row_sum_of_squares(x):
    if x.dtype is torch.float32:
        return (x.square().sum(-1),)
    # Squares in 16 bits would be rounded before they are added; the norm's kernel adds them in f32.
    return (torch.linalg.vector_norm(x, 2, -1, dtype=torch.float32).square().to(x.dtype),)


def row_logsumexp(x):
    return (torch.logsumexp(x, -1),)


OPERATORS = {
    "rms_norm": rms_norm,
    "add_rms_norm": add_rms_norm,
    "gated_rms_norm": gated_rms_norm,
    "rms_norm_quant": rms_norm_quant,
    "rms_norm_quant_i8": rms_norm_quant_i8,
    "rms_norm_static_quant": rms_norm_static_quant,
    "add_rms_norm_quant": add_rms_norm_quant,
    "silu_and_mul_quant": silu_and_mul_quant,
    "silu_and_mul_static_quant": silu_and_mul_static_quant,
    "head_rms_norm": rms_norm,
    "group_norm": group_norm,
    "layer_norm": layer_norm,
    "add_layer_norm": add_layer_norm,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "masked_softmax": masked_softmax,
    "sink_softmax": sink_softmax,
    "cross_entropy": cross_entropy,
    "sum": row_sum,
    "mean": row_mean,
    "max": row_max,
    "min": row_min,
    "amax": row_amax,
    "sum_of_squares": row_sum_of_squares,
    "norm2": row_norm2,
    "logsumexp": row_logsumexp,
}
# Written with small operations, which is what the chart that Isofold started from calls "Batch-invariant (Python)".
EAGER_FORMS = {"rms_norm": eager_rms_norm, "add_rms_norm": eager_add_rms_norm}
# What is compared with an exact reference. PyTorch has no kernel that quantises rows.
ACCURATE = {name: function for name, function in OPERATORS.items() if "quant" not in name}
ACCURATE["cross_entropy"] = wide_cross_entropy
