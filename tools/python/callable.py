#!/usr/bin/env python3
"""Serves one Python function of rows to `isofold probe`: requests on standard input, answers on what was standard output.

A request: the numbers of rows and of their elements (int64), then the elements (binary32), all little-endian. The answer:
results of each row (int64), then the results (binary64); or -1, the length of a text, and the text. The first answer, one
line of JSON, says what was loaded or why not. What the function prints goes to standard error.
"""
import argparse
import importlib
import importlib.util
import json
import os
import signal
import struct
import sys
from array import array


def load(name):
    if name.startswith("lambda "):
        known = ("torch", "numpy", "math")
        return eval(name, {each: importlib.import_module(each) for each in known if importlib.util.find_spec(each)})
    place, _, attribute = name.rpartition(":")
    sys.path.insert(0, os.path.dirname(os.path.abspath(place)) if place.endswith(".py") else os.getcwd())
    if place.endswith(".py"):
        spec = importlib.util.spec_from_file_location(os.path.basename(place)[:-3], place)
        if spec is None or not os.path.isfile(place):
            raise FileNotFoundError("there is no file " + place)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    function = module
    for part in attribute.split("."):
        function = getattr(function, part)
    return function


class Lists:
    """Rows as lists of Python's numbers, which are binary64."""

    def __init__(self, args):
        if args.dtype != "f64" and args.dtype != "f32":
            raise ValueError("lists have numbers of f64, which also stand for f32")

    def array(self, data, tokens, n):
        values = array("f", data).tolist()
        return [values[row * n : (row + 1) * n] for row in range(tokens)]

    def numbers(self, results):
        rows = [row if isinstance(row, (list, tuple)) else [row] for row in results]
        return len(rows), array("d", [float(value) for row in rows for value in row]).tobytes()


class NumPy:
    def __init__(self, args):
        import numpy

        self.numpy = numpy
        types = {"f32": numpy.float32, "f64": numpy.float64, "f16": numpy.float16}
        if args.dtype not in types:
            raise ValueError("NumPy has no " + args.dtype)
        self.dtype = types[args.dtype]

    def array(self, data, tokens, n):
        return self.numpy.frombuffer(data, dtype=self.numpy.float32).reshape(tokens, n).astype(self.dtype)

    def numbers(self, results):
        results = self.numpy.asarray(results)
        return results.shape[0], results.astype(self.numpy.float64).tobytes()


class Torch:
    def __init__(self, args):
        import torch

        self.torch = torch
        self.device = args.device
        self.dtype = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16}[args.dtype]
        if args.device == "cuda" and not torch.cuda.is_available():
            raise RuntimeError(f"PyTorch {torch.__version__} finds no GPU")

    def array(self, data, tokens, n):
        rows = self.torch.frombuffer(bytearray(data), dtype=self.torch.float32).reshape(tokens, n)
        return rows.to(device=self.device, dtype=self.dtype)

    def numbers(self, results):
        wide = results.detach().to(device="cpu", dtype=self.torch.float64)
        return wide.shape[0], array("d", wide.flatten().tolist()).tobytes()


def arrays(args):
    kinds = {"torch": Torch, "numpy": NumPy, "list": Lists}
    if args.arrays:
        return args.arrays, kinds[args.arrays](args)
    for name in ("torch", "numpy"):
        if importlib.util.find_spec(name) is not None:
            return name, kinds[name](args)
    return "list", Lists(args)


def read(stream, size):
    data = stream.read(size)
    return data if len(data) == size else None


def serve(function, form, requests, answers):
    while True:
        header = read(requests, 16)
        if header is None:
            return
        tokens, n = struct.unpack("<qq", header)
        data = read(requests, 4 * tokens * n)
        if data is None:
            return
        try:
            rows, numbers = form.numbers(function(form.array(data, tokens, n)))
            if rows != tokens or len(numbers) % (8 * tokens):
                raise ValueError(f"for {tokens} rows the function gave {rows} results of {len(numbers) // 8} numbers")
            answers.write(struct.pack("<q", len(numbers) // (8 * tokens)) + numbers)
        except Exception as error:
            text = f"{type(error).__name__}: {error}".encode()
            answers.write(struct.pack("<qq", -1, len(text)) + text)
        answers.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--function", required=True)
    parser.add_argument("--arrays", choices=["torch", "numpy", "list"])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", required=True)
    args = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    try:
        kind, form = arrays(args)
        function = load(args.function)
        loaded = {"arrays": kind}
    except Exception as error:
        loaded = {"error": f"{type(error).__name__}: {error}"}
    answers.write(json.dumps(loaded).encode() + b"\n")
    answers.flush()
    if "error" not in loaded:
        serve(function, form, sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
