"""Arrays on a GPU for machines without a framework that has them: the driver's memory and the CUDA array interface."""

import ctypes
import os

import numpy as np


class DeviceArray:
    """A dense array on device 0; `host()` is a copy of it. Lives until the process ends."""

    _driver = None

    def __init__(self, host):
        if DeviceArray._driver is None:
            DeviceArray._driver = ctypes.CDLL(os.environ.get("ISOFOLD_CUDA", "libcuda.so.1"))
            context = ctypes.c_void_p()
            self._call("cuInit", 0)
            self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
            self._call("cuCtxSetCurrent", context)
        host = np.ascontiguousarray(host)
        self.shape, self.dtype = host.shape, host.dtype
        self.pointer = ctypes.c_ulonglong()
        self._call("cuMemAlloc_v2", ctypes.byref(self.pointer), ctypes.c_size_t(host.nbytes))
        self._call("cuMemcpyHtoDAsync_v2", self.pointer, host.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(host.nbytes), None)
        self._call("cuCtxSynchronize")

    def _call(self, name, *arguments):
        result = getattr(DeviceArray._driver, name)(*arguments)
        assert result == 0, f"{name}: {result}"

    @property
    def __cuda_array_interface__(self):
        return {"shape": self.shape, "typestr": self.dtype.str, "data": (self.pointer.value, False), "strides": None, "version": 3}

    def host(self):
        copy = np.empty(self.shape, self.dtype)
        self._call("cuCtxSynchronize")
        self._call("cuMemcpyDtoHAsync_v2", copy.ctypes.data_as(ctypes.c_void_p), self.pointer, ctypes.c_size_t(copy.nbytes), None)
        self._call("cuCtxSynchronize")
        return copy
