"""Types that the signatures of isofold._core name. For type checkers only: there is no such module at run time."""

from typing import Any, Protocol, TypeAlias

class _DLPack(Protocol):
    def __dlpack__(self, *, stream: Any = ...) -> Any: ...
    def __dlpack_device__(self) -> tuple[Any, Any]: ...

class _CudaArrayInterface(Protocol):
    @property
    def __cuda_array_interface__(self) -> Any: ...

class _ArrayInterface(Protocol):
    @property
    def __array_interface__(self) -> Any: ...

Array: TypeAlias = _DLPack | _CudaArrayInterface | _ArrayInterface
"""Of PyTorch, NumPy, CuPy, JAX and others."""

class _FrameworkDType(Protocol):
    @property
    def itemsize(self) -> int: ...

DType: TypeAlias = str | type | _FrameworkDType
""""bf16", "bfloat16", numpy.float32, torch.bfloat16"""

Option: TypeAlias = bool | int | float | DType | None
"""Of an operator; None is one that was not given."""

class _TorchStream(Protocol):
    @property
    def cuda_stream(self) -> int: ...

class _CupyStream(Protocol):
    @property
    def ptr(self) -> int: ...

class _CudaStream(Protocol):
    def __cuda_stream__(self) -> tuple[int, int]: ...

Stream: TypeAlias = int | _TorchStream | _CupyStream | _CudaStream
"""The address of a CUDA stream, or an object of a framework."""
