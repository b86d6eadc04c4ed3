#!/usr/bin/env python3
"""Runs PyTorch's kernels of named operators on rows that `isofold accuracy` stored, and stores what they give.

The job file is a list of {"op", "rows", "n", "inputs", "outputs"}; tensors are {"name", "dtype", "extent", "groups",
"path"} with raw elements in the file. One JSON object per line on standard
output: "job", and with "missing" why it has no results.
"""
import argparse
import ctypes
import json

from installed_torch import torch_or_reason


def say(**line):
    print(json.dumps(line), flush=True)


def load(torch, tensor, job, device):
    from row_operators import DTYPES, shape_of

    with open(tensor["path"], "rb") as file:
        raw = bytearray(file.read())
    shape = shape_of(tensor["extent"], tensor["groups"], job["rows"], job["n"])
    values = torch.frombuffer(raw, dtype=DTYPES[tensor["dtype"]]).reshape(shape)
    return (values.long() if tensor["dtype"] == "i32" else values.clone()).to(device)


def store(result, tensor, job):
    from row_operators import DTYPES, shape_of

    wanted = DTYPES[tensor["dtype"]], shape_of(tensor["extent"], 1, job["rows"], job["n"])
    if (result.dtype, tuple(result.shape)) != wanted:
        raise TypeError(f"{tensor['name']} is {result.dtype} {tuple(result.shape)}, not {wanted[0]} {wanted[1]}")
    result = result.contiguous().cpu()
    with open(tensor["path"], "wb") as file:
        file.write(ctypes.string_at(result.data_ptr(), result.numel() * result.element_size()))


def run(torch, job, device):
    from row_operators import ACCURATE

    if job["op"] not in ACCURATE:
        return "PyTorch has no kernel of it"
    tensors = {tensor["name"]: load(torch, tensor, job, device) for tensor in job["inputs"]}
    results = ACCURATE[job["op"]](**tensors)
    for tensor, result in zip(job["outputs"], results, strict=True):
        store(result, tensor, job)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", required=True)
    parser.add_argument("--device", choices=["cuda", "cpu"], required=True)
    args = parser.parse_args()
    with open(args.jobs) as file:
        jobs = json.load(file)

    torch, why = torch_or_reason(args.device)
    for number, job in enumerate(jobs):
        missing = why
        if not missing:
            try:
                with torch.no_grad():
                    missing = run(torch, job, args.device)
            except Exception as error:  # the other jobs can still run
                missing = f"{type(error).__name__}: {error}"[:300]
        say(job=number, **({"missing": missing} if missing else {}))
    if not why:
        say(versions=f"PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
