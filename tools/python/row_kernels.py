"""Triton kernels with one program per row, as they are usually written: a row that fits one block is loaded once."""
import torch
import triton
import triton.language as tl

from row_operators import LAYER_EPS, RMS_EPS

LARGEST_BLOCK = 16384  # elements that a program keeps in registers
LONG_ROW_BLOCK = 8192


@triton.jit
def rms_norm_kernel(x, gate, weight, y, n, eps, GATED: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    squares = tl.zeros([BLOCK], dtype=tl.float32)
    for start in range(0, n, BLOCK):
        column = start + tl.arange(0, BLOCK)
        value = tl.load(x + row * n + column, mask=column < n, other=0.0).to(tl.float32)
        squares += value * value
    scale = 1.0 / tl.sqrt(tl.sum(squares) / n + eps)
    for start in range(0, n, BLOCK):
        column = start + tl.arange(0, BLOCK)
        value = tl.load(x + row * n + column, mask=column < n, other=0.0).to(tl.float32)
        w = tl.load(weight + column, mask=column < n, other=0.0).to(tl.float32)
        result = value * scale * w
        if GATED:
            z = tl.load(gate + row * n + column, mask=column < n, other=0.0).to(tl.float32)
            result *= z / (1.0 + tl.exp(-z))
        tl.store(y + row * n + column, result.to(y.dtype.element_ty), mask=column < n)


@triton.jit
def layer_norm_kernel(x, weight, bias, y, eps, N: tl.constexpr, BLOCK: tl.constexpr):
    begin = tl.program_id(0).to(tl.int64) * N
    place = tl.arange(0, BLOCK)
    if N <= BLOCK:
        inside = place < N
        value = tl.load(x + begin + place, mask=inside, other=0.0).to(tl.float32)
        centred = tl.where(inside, value - tl.sum(value) / N, 0.0)
        scale = 1.0 / tl.sqrt(tl.sum(centred * centred) / N + eps)
        w = tl.load(weight + place, mask=inside, other=0.0).to(tl.float32)
        b = tl.load(bias + place, mask=inside, other=0.0).to(tl.float32)
        tl.store(y + begin + place, (centred * scale * w + b).to(y.dtype.element_ty), mask=inside)
    else:
        total = tl.zeros([BLOCK], dtype=tl.float32)
        for start in range(0, N, BLOCK):
            column = start + place
            total += tl.load(x + begin + column, mask=column < N, other=0.0).to(tl.float32)
        mean = tl.sum(total) / N
        squares = tl.zeros([BLOCK], dtype=tl.float32)
        for start in range(0, N, BLOCK):
            column = start + place
            value = tl.load(x + begin + column, mask=column < N, other=0.0).to(tl.float32)
            away = tl.where(column < N, value - mean, 0.0)
            squares += away * away
        factor = 1.0 / tl.sqrt(tl.sum(squares) / N + eps)
        for start in range(0, N, BLOCK):
            column = start + place
            value = tl.load(x + begin + column, mask=column < N, other=0.0).to(tl.float32)
            w = tl.load(weight + column, mask=column < N, other=0.0).to(tl.float32)
            b = tl.load(bias + column, mask=column < N, other=0.0).to(tl.float32)
            result = (value - mean) * factor * w + b
            tl.store(y + begin + column, result.to(y.dtype.element_ty), mask=column < N)


@triton.jit
def softmax_kernel(x, y, N: tl.constexpr, LOG: tl.constexpr, BLOCK: tl.constexpr):
    begin = tl.program_id(0).to(tl.int64) * N
    place = tl.arange(0, BLOCK)
    if N <= BLOCK:
        value = tl.load(x + begin + place, mask=place < N, other=-float("inf")).to(tl.float32)
        down = value - tl.max(value, axis=0)
        power = tl.exp(down)
        if LOG:
            result = down - tl.log(tl.sum(power))
        else:
            result = power / tl.sum(power)
        tl.store(y + begin + place, result.to(y.dtype.element_ty), mask=place < N)
    else:
        # Each of the block's places keeps its own maximum and sum; from a finite start no difference is NaN.
        high = tl.full([BLOCK], -3.0e38, dtype=tl.float32)
        sums = tl.zeros([BLOCK], dtype=tl.float32)
        for start in range(0, N, BLOCK):
            column = start + place
            part = tl.load(x + begin + column, mask=column < N, other=-float("inf")).to(tl.float32)
            higher = tl.maximum(high, part)
            sums = sums * tl.exp(high - higher) + tl.exp(part - higher)
            high = higher
        largest = tl.max(high, axis=0)
        total = tl.sum(sums * tl.exp(high - largest))
        log_total = tl.log(total)
        for start in range(0, N, BLOCK):
            column = start + place
            part = tl.load(x + begin + column, mask=column < N, other=-float("inf")).to(tl.float32)
            if LOG:
                answer = part - largest - log_total
            else:
                answer = tl.exp(part - largest) / total
            tl.store(y + begin + column, answer.to(y.dtype.element_ty), mask=column < N)


@triton.jit
def reduction_kernel(x, y, N: tl.constexpr, KIND: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    place = tl.arange(0, BLOCK)
    folded = tl.zeros([BLOCK], dtype=tl.float32)
    high = tl.full([BLOCK], -3.0e38, dtype=tl.float32)
    for start in range(0, N, BLOCK):
        column = start + place
        inside = column < N
        value = tl.load(x + row * N + column, mask=inside, other=0.0).to(tl.float32)
        if KIND == "sum" or KIND == "mean":
            folded += value
        elif KIND == "sum_of_squares" or KIND == "norm2":
            folded += value * value
        elif KIND == "logsumexp":
            value = tl.where(inside, value, -float("inf"))
            higher = tl.maximum(high, value)
            folded = folded * tl.exp(high - higher) + tl.exp(value - higher)
            high = higher
        elif KIND == "amax":
            high = tl.maximum(high, tl.abs(value))
        elif KIND == "min":
            high = tl.maximum(high, tl.where(inside, -value, -float("inf")))
        else:
            high = tl.maximum(high, tl.where(inside, value, -float("inf")))
    if KIND == "max" or KIND == "amax":
        result = tl.max(high, axis=0)
    elif KIND == "min":
        result = -tl.max(high, axis=0)
    elif KIND == "logsumexp":
        largest = tl.max(high, axis=0)
        result = tl.log(tl.sum(folded * tl.exp(high - largest))) + largest
    elif KIND == "mean":
        result = tl.sum(folded) / N
    elif KIND == "norm2":
        result = tl.sqrt(tl.sum(folded))
    else:
        result = tl.sum(folded)
    tl.store(y + row, result.to(y.dtype.element_ty))


def shape_of(n):
    """Block and warps of the kernels that know N."""
    block = triton.next_power_of_2(n) if n <= LARGEST_BLOCK else LONG_ROW_BLOCK
    return {"BLOCK": block, "num_warps": 16 if block >= 8192 else 8 if block >= 2048 else 4}


def rms_norm(x, weight, gate=None):
    y = torch.empty_like(x)
    gated = gate is not None
    rms_norm_kernel[(x.shape[0],)](
        x, gate if gated else x, weight, y, x.shape[1], RMS_EPS, GATED=gated, BLOCK=1024, num_warps=4
    )
    return (y,)


def add_rms_norm(x, residual, weight):
    h = x + residual
    return *rms_norm(h, weight), h


def layer_norm(x, weight, bias):
    y = torch.empty_like(x)
    layer_norm_kernel[(x.shape[0],)](x, weight, bias, y, LAYER_EPS, N=x.shape[1], **shape_of(x.shape[1]))
    return (y,)


def add_layer_norm(x, residual, weight, bias):
    h = x + residual
    return *layer_norm(h, weight, bias), h


def softmax_of(log):
    def softmax(x):
        y = torch.empty_like(x)
        softmax_kernel[(x.shape[0],)](x, y, N=x.shape[1], LOG=log, **shape_of(x.shape[1]))
        return (y,)

    return softmax


def reduction(kind):
    def reduce(x):
        y = torch.empty(x.shape[0], dtype=x.dtype, device=x.device)
        reduction_kernel[(x.shape[0],)](x, y, N=x.shape[1], KIND=kind, **shape_of(x.shape[1]))
        return (y,)

    return reduce


KERNELS = {
    "rms_norm": rms_norm,
    "add_rms_norm": add_rms_norm,
    "gated_rms_norm": rms_norm,
    "head_rms_norm": rms_norm,
    "layer_norm": layer_norm,
    "add_layer_norm": add_layer_norm,
    "softmax": softmax_of(log=False),
    "log_softmax": softmax_of(log=True),
}
for kind in ("sum", "mean", "max", "min", "amax", "sum_of_squares", "norm2", "logsumexp"):
    KERNELS[kind] = reduction(kind)
