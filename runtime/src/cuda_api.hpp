#pragma once
#include <cstddef>
#include <cstdint>

// The part of the CUDA driver API that Isofold uses, declared from its public documentation so that no CUDA
// header is needed to build. tests/unit/cuda_api_test.cpp compares every value and layout with cuda.h where a
// toolkit is found. Everything here exists since CUDA 12.0.

struct CUctx_st;
struct CUevent_st;
struct CUfunc_st;
struct CUgraph_st;
struct CUgraphExec_st;
struct CUgraphNode_st;
struct CUkern_st;
struct CUlib_st;
struct CUstream_st;

namespace isofold::cuda {

using CUcontext = ::CUctx_st*;
using CUevent = ::CUevent_st*;
using CUfunction = ::CUfunc_st*;
using CUgraph = ::CUgraph_st*;
using CUgraphExec = ::CUgraphExec_st*;
using CUgraphNode = ::CUgraphNode_st*;
using CUkernel = ::CUkern_st*;
using CUlibrary = ::CUlib_st*;
using CUstream = ::CUstream_st*;
using CUdevice = int;
using CUdeviceptr = unsigned long long;

enum CUresult : unsigned {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_INVALID_VALUE = 1,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_NOT_INITIALIZED = 3,
  CUDA_ERROR_DEINITIALIZED = 4,
  CUDA_ERROR_STUB_LIBRARY = 34,
  CUDA_ERROR_NO_DEVICE = 100,
  CUDA_ERROR_INVALID_DEVICE = 101,
  CUDA_ERROR_NOT_FOUND = 500,
  CUDA_ERROR_NOT_READY = 600,
  CUDA_ERROR_SYSTEM_NOT_READY = 802,
  CUDA_ERROR_SYSTEM_DRIVER_MISMATCH = 803,
  CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE = 804,
  CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,
  CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901,
  CUDA_ERROR_STREAM_CAPTURE_IMPLICIT = 906,
};

enum CUdevice_attribute : unsigned {
  CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
  CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE = 38,
  CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR = 39,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR = 81,
  CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR = 82,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
};

enum CUfunction_attribute : unsigned {
  CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
  CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED = 14,
};

enum CUlaunchAttributeID : unsigned {
  CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION = 4,
  CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION = 6,
};

union alignas(8) CUlaunchAttributeValue {
  char pad[64];
  struct {
    unsigned x, y, z;
  } clusterDim;
  int programmaticStreamSerializationAllowed;
};

struct CUlaunchAttribute {
  CUlaunchAttributeID id;
  char pad[8 - sizeof(CUlaunchAttributeID)];
  CUlaunchAttributeValue value;
};

struct CUlaunchConfig {
  unsigned gridDimX, gridDimY, gridDimZ;
  unsigned blockDimX, blockDimY, blockDimZ;
  unsigned sharedMemBytes;
  CUstream hStream;
  CUlaunchAttribute* attrs;
  unsigned numAttrs;
};

enum CUstreamCaptureStatus : unsigned {
  CU_STREAM_CAPTURE_STATUS_NONE = 0,
  CU_STREAM_CAPTURE_STATUS_ACTIVE = 1,
  CU_STREAM_CAPTURE_STATUS_INVALIDATED = 2,
};
enum CUstreamCaptureMode : unsigned {
  CU_STREAM_CAPTURE_MODE_GLOBAL = 0,
  CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1,
  CU_STREAM_CAPTURE_MODE_RELAXED = 2,
};

inline constexpr unsigned CU_STREAM_NON_BLOCKING = 1;
inline constexpr unsigned CU_EVENT_DEFAULT = 0;
inline constexpr unsigned CU_MEMHOSTALLOC_PORTABLE = 1;

// X(exported symbol, parameters): the functions of libcuda that are resolved when it is opened. All return
// CUresult. The symbol carries the version whose signature is given.
#define ISOFOLD_CUDA_FUNCTIONS(X)                                                                            \
  X(cuInit, (unsigned flags))                                                                                \
  X(cuDriverGetVersion, (int* version))                                                                      \
  X(cuGetErrorName, (CUresult error, const char** text))                                                     \
  X(cuGetErrorString, (CUresult error, const char** text))                                                   \
  X(cuDeviceGetCount, (int* count))                                                                          \
  X(cuDeviceGet, (CUdevice * device, int ordinal))                                                           \
  X(cuDeviceGetName, (char* name, int length, CUdevice device))                                              \
  X(cuDeviceTotalMem_v2, (std::size_t * bytes, CUdevice device))                                             \
  X(cuDeviceGetAttribute, (int* value, CUdevice_attribute attribute, CUdevice device))                       \
  X(cuDevicePrimaryCtxRetain, (CUcontext * context, CUdevice device))                                        \
  X(cuDevicePrimaryCtxRelease_v2, (CUdevice device))                                                         \
  X(cuCtxSetCurrent, (CUcontext context))                                                                    \
  X(cuCtxGetCurrent, (CUcontext * context))                                                                  \
  X(cuCtxSynchronize, ())                                                                                    \
  X(cuLibraryLoadData, (CUlibrary * library, const void* code, void* jit_options, void** jit_values,         \
                        unsigned jit_count, void* options, void** values, unsigned count))                   \
  X(cuLibraryUnload, (CUlibrary library))                                                                    \
  X(cuLibraryGetKernel, (CUkernel * kernel, CUlibrary library, const char* name))                            \
  X(cuKernelGetFunction, (CUfunction * function, CUkernel kernel))                                           \
  X(cuFuncSetAttribute, (CUfunction function, CUfunction_attribute attribute, int value))                    \
  X(cuLaunchKernelEx, (const CUlaunchConfig* config, CUfunction function, void** arguments, void** extra))   \
  X(cuStreamCreate, (CUstream * stream, unsigned flags))                                                     \
  X(cuStreamDestroy_v2, (CUstream stream))                                                                   \
  X(cuStreamSynchronize, (CUstream stream))                                                                  \
  X(cuStreamIsCapturing, (CUstream stream, CUstreamCaptureStatus * status))                                  \
  X(cuThreadExchangeStreamCaptureMode, (CUstreamCaptureMode * mode))                                         \
  X(cuStreamBeginCapture_v2, (CUstream stream, CUstreamCaptureMode mode))                                    \
  X(cuStreamEndCapture, (CUstream stream, CUgraph * graph))                                                  \
  X(cuGraphGetNodes, (CUgraph graph, CUgraphNode * nodes, std::size_t * count))                              \
  X(cuGraphDestroy, (CUgraph graph))                                                                         \
  X(cuGraphInstantiateWithFlags, (CUgraphExec * executable, CUgraph graph, unsigned long long flags))        \
  X(cuGraphExecDestroy, (CUgraphExec executable))                                                            \
  X(cuGraphLaunch, (CUgraphExec executable, CUstream stream))                                                \
  X(cuEventCreate, (CUevent * event, unsigned flags))                                                        \
  X(cuEventDestroy_v2, (CUevent event))                                                                      \
  X(cuEventRecord, (CUevent event, CUstream stream))                                                         \
  X(cuEventElapsedTime, (float* milliseconds, CUevent start, CUevent end))                                   \
  X(cuMemAlloc_v2, (CUdeviceptr * pointer, std::size_t bytes))                                               \
  X(cuMemFree_v2, (CUdeviceptr pointer))                                                                     \
  X(cuMemGetInfo_v2, (std::size_t * free, std::size_t * total))                                              \
  X(cuMemHostAlloc, (void** pointer, std::size_t bytes, unsigned flags))                                     \
  X(cuMemFreeHost, (void* pointer))                                                                          \
  X(cuMemcpyHtoDAsync_v2, (CUdeviceptr destination, const void* source, std::size_t bytes, CUstream stream)) \
  X(cuMemcpyDtoHAsync_v2, (void* destination, CUdeviceptr source, std::size_t bytes, CUstream stream))       \
  X(cuMemcpyDtoDAsync_v2, (CUdeviceptr destination, CUdeviceptr source, std::size_t bytes, CUstream stream)) \
  X(cuMemsetD8Async, (CUdeviceptr destination, unsigned char value, std::size_t count, CUstream stream))

/// One function pointer for each entry of the list, under the name of its symbol.
struct FunctionTable {
#define ISOFOLD_CUDA_MEMBER(symbol, parameters) CUresult(*symbol) parameters = nullptr;
  ISOFOLD_CUDA_FUNCTIONS(ISOFOLD_CUDA_MEMBER)
#undef ISOFOLD_CUDA_MEMBER
};

}  // namespace isofold::cuda
