"""Arrays for results, of the kind of an operator's inputs."""

import sys

_NAMES = {
    "f32": "float32",
    "bf16": "bfloat16",
    "f16": "float16",
    "e4m3": "float8_e4m3fn",
    "i8": "int8",
    "i32": "int32",
    "f64": "float64",
}
_BITS = {"bf16": "uint16", "e4m3": "uint8"}  # in NumPy, which has no such numbers


def _numpy_dtype(numpy, dtype, like):
    if dtype not in _BITS:
        return numpy.dtype(_NAMES[dtype])
    # An array of ml_dtypes' numbers is answered with such; bits are answered with bits.
    if like.dtype.kind == "V":
        import ml_dtypes

        return numpy.dtype(getattr(ml_dtypes, _NAMES[dtype]))
    return numpy.dtype(_BITS[dtype])


def empty(like, shape, dtype):
    """An array of that shape and dtype (Isofold's name), of the framework and on the device of `like`."""
    framework = type(like).__module__.partition(".")[0]
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(like, torch.Tensor):
        return torch.empty(shape, dtype=getattr(torch, _NAMES[dtype]), device=like.device)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(like, (numpy.ndarray, numpy.generic)):
        return numpy.empty(shape, _numpy_dtype(numpy, dtype, like))
    if framework == "cupy":
        import cupy

        with like.device:
            return cupy.empty(shape, _numpy_dtype(cupy, dtype, like))
    raise TypeError(f"results can be made for NumPy, PyTorch and CuPy, not for {type(like).__qualname__}: pass them to launch()")
