"""Time of eager calls on small inputs: Isofold's functions beside PyTorch's own. What is timed is the host's part of a call, as in a
decoding loop that waits for nothing.

    python3 tools/python/eager_time.py [--device cuda] [--tokens 1] [-n 4096] [--dtype bfloat16] [--json]"""

import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F

import isofold.torch as ours

CALLS = 200  # of a sample; few enough for the queue of a stream
SAMPLES = 41


def microseconds(call, device):
    """Median of a call's time over samples of many calls. The device finishes between samples, outside the time."""
    samples = []
    for _ in range(SAMPLES + 5):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        samples.append((time.perf_counter() - start) / CALLS * 1e6)
    return statistics.median(samples[5:])


def cases(device, tokens, n, dtype):
    x, residual = torch.randn(2, tokens, n, device=device).to(dtype)
    weight, bias = torch.randn(2, n, device=device).to(dtype)
    shape, ops = (n,), torch.ops.isofold
    out = torch.empty_like(x)
    # Name, Isofold's function, the same through the dispatcher, PyTorch's.
    yield (
        "rms_norm",
        lambda: ours.rms_norm(x, shape, weight, 1e-6),
        lambda: ops.rms_norm(x, weight, 1e-6),
        lambda: F.rms_norm(x, shape, weight, 1e-6),
    )
    yield (
        "rms_norm, out=",
        lambda: ours.rms_norm(x, shape, weight, 1e-6, out=out),
        lambda: ops.rms_norm.out(x, weight, 1e-6, out=out),
        None,
    )
    yield (
        "fused_add_rms_norm",
        lambda: ours.fused_add_rms_norm(x, residual, weight, 1e-6),
        lambda: ops.fused_add_rms_norm(x, residual, weight, 1e-6),
        lambda: F.rms_norm(residual.add_(x), shape, weight, 1e-6),
    )
    yield (
        "layer_norm",
        lambda: ours.layer_norm(x, shape, weight, bias),
        lambda: ops.layer_norm(x, weight, bias, 1e-5),
        lambda: F.layer_norm(x, shape, weight, bias),
    )
    yield "softmax", lambda: ours.softmax(x, -1), lambda: ops.softmax(x), lambda: torch.softmax(x, -1)
    yield "log_softmax", lambda: ours.log_softmax(x, -1), lambda: ops.log_softmax(x), lambda: torch.log_softmax(x, -1)
    yield "mean", lambda: ours.mean(x, -1), lambda: ops.mean(x), lambda: torch.mean(x, -1)
    yield "sum", lambda: ours.sum(x, -1), lambda: ops.sum(x), lambda: torch.sum(x, -1)
    operator = ours.runtime(device).operator("softmax", n=n, dtype=str(dtype))
    yield "Operator.launch (softmax)", lambda: operator.launch(x, out), None, None
    yield "torch.empty_like", None, None, lambda: torch.empty_like(x)


def measure(device, tokens, n, dtype):
    rows = []
    for name, *calls in cases(device, tokens, n, dtype):
        times = [None if call is None else microseconds(call, device) for call in calls]
        with ours.batch_invariant_mode(device):
            times.append(None if calls[2] is None or "empty" in name else microseconds(calls[2], device))
        rows.append((name, *times))
    return rows


def main():
    parser = argparse.ArgumentParser(description="Time of eager calls on small inputs")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cuda", "cpu"))
    parser.add_argument("--tokens", type=int, default=1)
    parser.add_argument("-n", type=int, default=4096)
    parser.add_argument("--dtype", default="bfloat16", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with torch.inference_mode():
        rows = measure(options.device, options.tokens, options.n, getattr(torch, options.dtype))
    where = torch.cuda.get_device_name() if options.device == "cuda" else ours.runtime("cpu").device.partition(" triple")[0]
    columns = ("function", "isofold", "dispatcher", "pytorch", "mode")
    if options.json:
        print(
            json.dumps(
                {"device": where, "torch": torch.__version__, "unit": "us", "rows": [dict(zip(columns, row)) for row in rows]}
            )
        )
        return
    print(f"{where}, PyTorch {torch.__version__}, {options.tokens} x {options.n} {options.dtype}, microseconds of a call\n")
    print(
        "| call | Isofold | Isofold through the dispatcher | PyTorch | PyTorch in batch-invariant mode |\n|---|---|---|---|---|"
    )
    for name, *times in rows:
        print(f"| {name} | " + " | ".join("" if one is None else f"{one:.1f}" for one in times) + " |")


if __name__ == "__main__":
    main()
