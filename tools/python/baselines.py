#!/usr/bin/env python3
"""Times a named operator as Python users have it, for `isofold bench` and `isofold chart`.

One JSON object per line on standard output: times of one implementation ("key") at one token count, or, with "missing",
why it did not run. GPU time is that of a replayed CUDA graph of many calls; the rows of the calls, results included,
rotate over more than 1.5 x L2. Call time is a host clock around a call and a synchronisation. Both are medians, in
microseconds.
"""
import argparse
import importlib.util
import json
import sys

from installed_torch import torch_or_reason


class Missing(Exception):
    """An implementation that is not there, and why."""


def say(**line):
    print(json.dumps(line), flush=True)


def reason(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:300]


def implementation(key, torch, args):
    """Gives a new function for each token count: what torch.compile made for one shape does not serve another."""
    from row_operators import EAGER_FORMS, OPERATORS

    native = OPERATORS[args.op]
    if key == "python":
        return lambda: EAGER_FORMS.get(args.op, native)
    if key == "native":
        return lambda: native
    if key == "compile":

        def compiled():
            torch._dynamo.reset()
            return torch.compile(native, dynamic=False, fullgraph=True)

        return compiled
    if args.device == "cpu":
        raise Missing("Triton compiles for GPUs only")
    if importlib.util.find_spec("triton") is None:
        raise Missing("Triton is not installed for " + sys.executable)
    from row_kernels import KERNELS

    if any(dtype == "f64" for _, dtype, _, _ in args.inputs):
        raise Missing("the Triton versions compute in f32")
    if args.op not in KERNELS:
        raise Missing("there is no Triton version of " + args.op)
    return lambda: KERNELS[args.op]


def measure(key, torch, args):
    from row_timing import Calls

    make = implementation(key, torch, args)
    # Columns of several rows: so many tokens are one row of PyTorch's.
    groups = max((groups for _, _, extent, groups in args.inputs if extent == "column"), default=1)
    for tokens in args.tokens:
        if tokens % groups:
            continue
        try:
            calls = Calls(make(), args.inputs, tokens, args.n, args.device)
            line = {"key": key, "tokens": tokens, "call_us": 1e6 * calls.call_time()}
            if args.device == "cuda":
                line["gpu_us"] = 1e6 * calls.gpu_time()
            say(**line)
        except torch.cuda.OutOfMemoryError:
            raise Missing(f"out of memory at {tokens} tokens")
        finally:
            calls = None
            if args.device == "cuda":
                torch.cuda.empty_cache()
    if any(tokens % groups for tokens in args.tokens):
        raise Missing(f"{groups} tokens are one row of PyTorch's: their number has to be a multiple")


def parse_inputs(text):
    """name:dtype:extent:groups, separated by commas."""
    parts = [part.split(":") for part in text.split(",")]
    return [(name, dtype, extent, int(groups)) for name, dtype, extent, groups in parts]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--op", required=True)
    parser.add_argument("--n", type=int, required=True)
    parser.add_argument("--inputs", type=parse_inputs, required=True)
    parser.add_argument("--tokens", type=lambda text: [int(part) for part in text.split(",")], required=True)
    parser.add_argument("--lines", type=lambda text: text.split(","), required=True)
    parser.add_argument("--device", choices=["cuda", "cpu"], required=True)
    args = parser.parse_args()

    torch, why = torch_or_reason(args.device)
    if why:
        for key in args.lines:
            say(key=key, missing=why)
        return
    versions = f"PyTorch {torch.__version__}"
    if importlib.util.find_spec("triton") is not None:
        from importlib.metadata import version

        versions += f", Triton {version('triton')}"
    say(versions=versions)
    with torch.no_grad():
        for key in args.lines:
            try:
                measure(key, torch, args)
            except Missing as missing:
                say(key=key, missing=str(missing))
            except Exception as error:  # the other implementations can still run
                say(key=key, missing=reason(error))


if __name__ == "__main__":
    main()
