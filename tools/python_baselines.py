#!/usr/bin/env python3
"""Times RMSNorm (with or without a fused residual add) as Python users have it, for `isofold bench` and `isofold chart`.

Two implementations, both batch-invariant: eager PyTorch in the form of Hugging Face's models, and a Triton kernel with
one program per row behind an unfused add. One JSON object per line on standard output; lines with "missing" say why an
implementation did not run. GPU time is that of a replayed CUDA graph, inputs rotating over more than 1.5 x L2; call time
is a host clock around a call and a synchronisation. Both are medians, in microseconds.
"""
import argparse
import importlib.util
import json
import statistics
import sys
import time

NAMES = {"python": "Batch-invariant (Python)", "triton": "Batch-invariant (Triton)"}
MAX_SETS = 1024


def say(**line):
    print(json.dumps(line), flush=True)


def median_us(samples):
    return statistics.median(samples) * 1e6


def eager_norm(torch):
    def norm(h, weight, eps):
        wide = h.to(torch.float32)
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
        return weight * wide.to(h.dtype)

    return norm


def triton_norm(torch):
    import triton
    import triton.language as tl

    @triton.jit
    def kernel(x, weight, y, n, eps, BLOCK: tl.constexpr):
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
            tl.store(y + row * n + column, (value * scale * w).to(y.dtype.element_ty), mask=column < n)

    def norm(h, weight, eps):
        y = torch.empty_like(h)
        kernel[(h.shape[0],)](h, weight, y, h.shape[1], eps, BLOCK=1024, num_warps=4)
        return y

    return norm


class Bench:
    """One token count: as many sets of inputs as it takes to exceed 1.5 x L2."""

    def __init__(self, torch, args, tokens, device):
        self.torch, self.args, self.device = torch, args, device
        dtype = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[args.dtype]
        residual = args.op == "add_rms_norm"
        row_bytes = tokens * args.n * torch.finfo(dtype).bits // 8 * (4 if residual else 2)
        cache = torch.cuda.get_device_properties(0).L2_cache_size if device == "cuda" else 64 << 20
        count = max(2, min(MAX_SETS, int(1.5 * cache / row_bytes) + 1))
        make = lambda: torch.randn(tokens, args.n, dtype=dtype, device=device)
        self.sets = [(make(), make() if residual else None) for _ in range(count)]
        self.weight = torch.randn(args.n, dtype=dtype, device=device)

    def call(self, norm, index):
        x, residual = self.sets[index % len(self.sets)]
        h = x if residual is None else x + residual
        return norm(h, self.weight, self.args.eps), h

    def wait(self):
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def call_time(self, norm):
        samples = []
        end = time.perf_counter() + 0.3
        index = 0
        while len(samples) < 20 or (time.perf_counter() < end and len(samples) < 2000):
            start = time.perf_counter()
            self.call(norm, index)
            self.wait()
            samples.append(time.perf_counter() - start)
            index += 1
        return median_us(samples[len(samples) // 10:])

    def gpu_time(self, norm):
        torch = self.torch
        launches = len(self.sets)
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for index in range(3):
                self.call(norm, index)
            stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=stream):
                for index in range(launches):
                    self.call(norm, index)
            graph.replay()
            start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            samples = []
            for _ in range(11):
                start.record(stream)
                graph.replay()
                stop.record(stream)
                stop.synchronize()
                samples.append(start.elapsed_time(stop) * 1e-3 / launches)
        return median_us(samples)


def measure(key, torch, args, make_norm, device):
    norm = make_norm(torch)
    for tokens in args.tokens:
        bench = Bench(torch, args, tokens, device)
        bench.call(norm, 0)
        bench.wait()
        line = {"key": key, "tokens": tokens, "call_us": bench.call_time(norm)}
        if device == "cuda":
            line["gpu_us"] = bench.gpu_time(norm)
        say(**line)
        del bench
        if device == "cuda":
            torch.cuda.empty_cache()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--op", choices=["rms_norm", "add_rms_norm"], default="add_rms_norm")
    parser.add_argument("--n", type=int, default=8192)
    parser.add_argument("--dtype", choices=["f32", "f16", "bf16"], default="bf16")
    parser.add_argument("--eps", type=float, default=1e-6)
    parser.add_argument("--tokens", type=lambda text: [int(part) for part in text.split(",")], default=[1, 8, 32, 128])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    args = parser.parse_args()

    if importlib.util.find_spec("torch") is None:
        for key in NAMES:
            say(key=key, missing="PyTorch is not installed for " + sys.executable)
        return
    import torch

    if args.device == "cuda" and not torch.cuda.is_available():
        for key in NAMES:
            say(key=key, missing=f"PyTorch {torch.__version__} finds no GPU")
        return
    say(key="versions", torch=torch.__version__)
    with torch.no_grad():
        measure("python", torch, args, eager_norm, args.device)
        if args.device == "cpu":
            say(key="triton", missing="Triton compiles for GPUs only")
        elif importlib.util.find_spec("triton") is None:
            say(key="triton", missing="Triton is not installed for " + sys.executable)
        else:
            measure("triton", torch, args, triton_norm, args.device)


if __name__ == "__main__":
    main()
