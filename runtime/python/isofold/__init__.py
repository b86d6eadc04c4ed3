"""Batch-invariant row reductions: one reduction tree, every schedule, the same bits.

    runtime = isofold.Runtime(device="cpu")
    norm = runtime.operator("rms_norm", n=4096, dtype="f32", eps=1e-5)
    y = norm(x, weight)

Tensors are anything with DLPack, `__cuda_array_interface__` or `__array_interface__`: PyTorch, CuPy, JAX, NumPy and others.
`isofold.torch` has functions for PyTorch.
"""

import atexit as _atexit

from . import _core
from ._core import (
    Choice,
    Error,
    InternalError,
    Operator,
    Runtime,
    TensorFacts,
    UsageError,
    __version__,
    named_operators,
    spec,
)
from ._messages import log_to

__all__ = [
    "Choice",
    "Error",
    "InternalError",
    "Operator",
    "Runtime",
    "TensorFacts",
    "UsageError",
    "__version__",
    "log_to",
    "named_operators",
    "spec",
]

# Last in, first out: handlers that others registered before, and that may launch, run after this one, in the thread that shuts down.
_atexit.register(_core._finish_calls)
for _class in (Choice, Error, InternalError, Operator, Runtime, TensorFacts, UsageError):
    _class.__module__ = "isofold"
log_to.__module__ = "isofold"
