// Our declarations of the driver API against the toolkit's own header, where the build has found one.
#include "cuda_api.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <tuple>
#include <type_traits>

namespace ours = isofold::cuda;

#ifdef ISOFOLD_TEST_CUDA_H

// cuda.h gives some names a second meaning with #define, so everything that is spelled like one is taken
// before it.
namespace {
template <class... Functions>
struct List {};
#define ISOFOLD_TYPE(symbol, parameters) decltype(ours::FunctionTable::symbol),
using OurFunctions = List<ISOFOLD_CUDA_FUNCTIONS(ISOFOLD_TYPE) void>;
#undef ISOFOLD_TYPE
constexpr unsigned our_portable = ours::CU_MEMHOSTALLOC_PORTABLE;
}  // namespace

#include <cuda.h>

namespace {

#define ISOFOLD_TYPE(symbol, parameters) decltype(&::symbol),
using TheirFunctions = List<ISOFOLD_CUDA_FUNCTIONS(ISOFOLD_TYPE) void>;
#undef ISOFOLD_TYPE

template <class A, class B>
constexpr bool same_kind =
    sizeof(A) == sizeof(B) && std::is_pointer_v<A> == std::is_pointer_v<B>&& std::is_floating_point_v<A> ==
                                  std::is_floating_point_v<B>;

template <class A, class B>
struct SameCall : std::false_type {};
template <>
struct SameCall<void, void> : std::true_type {};
template <class R, class... A, class S, class... B>
requires(sizeof...(A) == sizeof...(B)) struct SameCall<R (*)(A...), S (*)(B...)>
    : std::bool_constant<same_kind<R, S> && (same_kind<A, B> && ...)> {
};

template <class A, class B>
struct SameCalls;
template <class... A, class... B>
struct SameCalls<List<A...>, List<B...>> {
  static_assert((SameCall<A, B>::value && ...));
};
template struct SameCalls<OurFunctions, TheirFunctions>;

#define ISOFOLD_SAME_VALUE(name) \
  static_assert(static_cast<unsigned>(ours::name) == static_cast<unsigned>(::name))
ISOFOLD_SAME_VALUE(CUDA_SUCCESS);
ISOFOLD_SAME_VALUE(CUDA_ERROR_INVALID_VALUE);
ISOFOLD_SAME_VALUE(CUDA_ERROR_OUT_OF_MEMORY);
ISOFOLD_SAME_VALUE(CUDA_ERROR_NOT_INITIALIZED);
ISOFOLD_SAME_VALUE(CUDA_ERROR_DEINITIALIZED);
ISOFOLD_SAME_VALUE(CUDA_ERROR_STUB_LIBRARY);
ISOFOLD_SAME_VALUE(CUDA_ERROR_NO_DEVICE);
ISOFOLD_SAME_VALUE(CUDA_ERROR_INVALID_DEVICE);
ISOFOLD_SAME_VALUE(CUDA_ERROR_NOT_FOUND);
ISOFOLD_SAME_VALUE(CUDA_ERROR_NOT_READY);
ISOFOLD_SAME_VALUE(CUDA_ERROR_SYSTEM_NOT_READY);
ISOFOLD_SAME_VALUE(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH);
ISOFOLD_SAME_VALUE(CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE);
ISOFOLD_SAME_VALUE(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
ISOFOLD_SAME_VALUE(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
ISOFOLD_SAME_VALUE(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
ISOFOLD_SAME_VALUE(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
ISOFOLD_SAME_VALUE(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
ISOFOLD_SAME_VALUE(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR);
ISOFOLD_SAME_VALUE(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
ISOFOLD_SAME_VALUE(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
ISOFOLD_SAME_VALUE(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR);
ISOFOLD_SAME_VALUE(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR);
ISOFOLD_SAME_VALUE(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
ISOFOLD_SAME_VALUE(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
ISOFOLD_SAME_VALUE(CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED);
ISOFOLD_SAME_VALUE(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
ISOFOLD_SAME_VALUE(CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
ISOFOLD_SAME_VALUE(CU_STREAM_CAPTURE_STATUS_NONE);
ISOFOLD_SAME_VALUE(CU_STREAM_CAPTURE_STATUS_ACTIVE);
ISOFOLD_SAME_VALUE(CU_STREAM_CAPTURE_STATUS_INVALIDATED);
ISOFOLD_SAME_VALUE(CU_STREAM_CAPTURE_MODE_GLOBAL);
ISOFOLD_SAME_VALUE(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
ISOFOLD_SAME_VALUE(CU_STREAM_CAPTURE_MODE_RELAXED);
ISOFOLD_SAME_VALUE(CU_STREAM_NON_BLOCKING);
ISOFOLD_SAME_VALUE(CU_EVENT_DEFAULT);
static_assert(our_portable == CU_MEMHOSTALLOC_PORTABLE);

#define ISOFOLD_SAME_SIZE(type) \
  static_assert(sizeof(ours::type) == sizeof(::type) && alignof(ours::type) == alignof(::type))
ISOFOLD_SAME_SIZE(CUdevice);
ISOFOLD_SAME_SIZE(CUdeviceptr);
ISOFOLD_SAME_SIZE(CUlaunchAttributeValue);
ISOFOLD_SAME_SIZE(CUlaunchAttribute);
ISOFOLD_SAME_SIZE(CUlaunchConfig);

#define ISOFOLD_SAME_PLACE(type, member) \
  static_assert(offsetof(ours::type, member) == offsetof(::type, member))
ISOFOLD_SAME_PLACE(CUlaunchAttributeValue, clusterDim.x);
ISOFOLD_SAME_PLACE(CUlaunchAttributeValue, clusterDim.z);
ISOFOLD_SAME_PLACE(CUlaunchAttributeValue, programmaticStreamSerializationAllowed);
ISOFOLD_SAME_PLACE(CUlaunchAttribute, id);
ISOFOLD_SAME_PLACE(CUlaunchAttribute, value);
ISOFOLD_SAME_PLACE(CUlaunchConfig, gridDimX);
ISOFOLD_SAME_PLACE(CUlaunchConfig, gridDimZ);
ISOFOLD_SAME_PLACE(CUlaunchConfig, blockDimX);
ISOFOLD_SAME_PLACE(CUlaunchConfig, blockDimZ);
ISOFOLD_SAME_PLACE(CUlaunchConfig, sharedMemBytes);
ISOFOLD_SAME_PLACE(CUlaunchConfig, hStream);
ISOFOLD_SAME_PLACE(CUlaunchConfig, attrs);
ISOFOLD_SAME_PLACE(CUlaunchConfig, numAttrs);

static_assert(std::is_same_v<ours::CUstream, ::CUstream> && std::is_same_v<ours::CUfunction, ::CUfunction> &&
              std::is_same_v<ours::CUcontext, ::CUcontext> && std::is_same_v<ours::CUlibrary, ::CUlibrary> &&
              std::is_same_v<ours::CUkernel, ::CUkernel> && std::is_same_v<ours::CUgraph, ::CUgraph> &&
              std::is_same_v<ours::CUgraphExec, ::CUgraphExec> && std::is_same_v<ours::CUevent, ::CUevent>);

}  // namespace

#endif

TEST_CASE("layouts of a 64-bit system, with or without a toolkit") {
  CHECK(sizeof(ours::CUlaunchConfig) == 56);
  CHECK(offsetof(ours::CUlaunchConfig, hStream) == 32);
  CHECK(sizeof(ours::CUlaunchAttribute) == 72);
  CHECK(sizeof(ours::CUlaunchAttributeValue) == 64);
  CHECK(alignof(ours::CUlaunchAttributeValue) == 8);
}
