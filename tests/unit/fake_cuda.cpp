// A stand-in for libcuda with the same exported names: two devices that compute nothing, and counters that
// say what was created, released and launched. It is compiled against the product's own declarations, which
// cuda_api_test.cpp compares with the toolkit's.
#include "fake_cuda.hpp"

#include <cstdlib>
#include <cstring>
#include <utility>

using namespace isofold::cuda;

namespace {

FakeCuda state;
thread_local CUcontext current = nullptr;

char device_contexts[2];
CUcontext context_of(CUdevice device) { return reinterpret_cast<CUcontext>(&device_contexts[device]); }

CUresult in_context(int& counter, int change) {
  if (current == nullptr) return CUresult{201};
  counter += change;
  return CUDA_SUCCESS;
}

template <class Handle>
CUresult make(Handle* handle, int& counter) {
  static char object;
  *handle = reinterpret_cast<Handle>(&object);
  return in_context(counter, 1);
}

}  // namespace

#define ISOFOLD_FAKE extern "C" __attribute__((visibility("default"))) isofold::cuda::CUresult

extern "C" __attribute__((visibility("default"))) FakeCuda* isofold_fake_cuda() { return &state; }

ISOFOLD_FAKE cuInit(unsigned) {
  return std::getenv("FAKE_CUDA_NO_DEVICE") ? CUDA_ERROR_NO_DEVICE : CUDA_SUCCESS;
}
ISOFOLD_FAKE cuDriverGetVersion(int* version) {
  const char* set = std::getenv("FAKE_CUDA_VERSION");
  *version = set != nullptr ? std::atoi(set) : 13000;
  return CUDA_SUCCESS;
}
ISOFOLD_FAKE cuGetErrorName(CUresult error, const char** text) {
  *text = error == CUDA_ERROR_NO_DEVICE ? "CUDA_ERROR_NO_DEVICE" : "CUDA_ERROR_OF_THE_FAKE";
  return CUDA_SUCCESS;
}
ISOFOLD_FAKE cuGetErrorString(CUresult, const char** text) {
  *text = "description by the fake";
  return CUDA_SUCCESS;
}
ISOFOLD_FAKE cuDeviceGetCount(int* count) { return *count = 2, CUDA_SUCCESS; }
ISOFOLD_FAKE cuDeviceGet(CUdevice* device, int ordinal) { return *device = ordinal, CUDA_SUCCESS; }
ISOFOLD_FAKE cuDeviceGetName(char* name, int length, CUdevice device) {
  std::strncpy(name, device == 0 ? "Fake H100" : "Fake A100", static_cast<std::size_t>(length));
  return CUDA_SUCCESS;
}
ISOFOLD_FAKE cuDeviceTotalMem_v2(std::size_t* bytes, CUdevice) { return *bytes = 80ull << 30, CUDA_SUCCESS; }
ISOFOLD_FAKE cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  // Every value that the product does not read by name is the number of its attribute.
  *value = static_cast<int>(attribute);
  if (attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) *value = device == 0 ? 9 : 8;
  if (const char* set = std::getenv("FAKE_CUDA_MAJOR"); set && attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
    *value = std::atoi(set);
  if (attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR) *value = 0;
  return CUDA_SUCCESS;
}
ISOFOLD_FAKE cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  *context = context_of(device);
  ++state.contexts;
  return CUDA_SUCCESS;
}
ISOFOLD_FAKE cuDevicePrimaryCtxRelease_v2(CUdevice) { return --state.contexts, CUDA_SUCCESS; }
ISOFOLD_FAKE cuCtxSetCurrent(CUcontext context) { return current = context, ++state.switches, CUDA_SUCCESS; }
ISOFOLD_FAKE cuCtxGetCurrent(CUcontext* context) { return *context = current, CUDA_SUCCESS; }
ISOFOLD_FAKE cuCtxSynchronize() { return in_context(state.waits, 1); }
ISOFOLD_FAKE cuLibraryLoadData(CUlibrary* library, const void* code, void*, void**, unsigned, void*, void**,
                               unsigned) {
  if (std::strncmp(static_cast<const char*>(code), "cubin", 5) != 0) return CUresult{200};
  return make(library, state.libraries);
}
ISOFOLD_FAKE cuLibraryUnload(CUlibrary) { return in_context(state.libraries, -1); }
ISOFOLD_FAKE cuLibraryGetKernel(CUkernel* kernel, CUlibrary, const char* name) {
  int ignored = 0;
  return std::strcmp(name, "kernel") == 0 ? make(kernel, ignored) : CUDA_ERROR_NOT_FOUND;
}
ISOFOLD_FAKE cuKernelGetFunction(CUfunction* function, CUkernel) {
  int ignored = 0;
  return make(function, ignored);
}
ISOFOLD_FAKE cuFuncLoad(CUfunction) { return in_context(state.function_loads, 1); }
ISOFOLD_FAKE cuFuncSetAttribute(CUfunction, CUfunction_attribute attribute, int value) {
  return state.function_attributes[attribute] = value, CUDA_SUCCESS;
}
ISOFOLD_FAKE cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction, void** arguments, void** extra) {
  if (current == nullptr || extra != nullptr) return CUDA_ERROR_INVALID_VALUE;
  state.launch = *config;
  for (unsigned index = 0; index < config->numAttrs; ++index) state.attributes[index] = config->attrs[index];
  state.argument = *static_cast<int*>(arguments[0]);
  return CUDA_SUCCESS;
}
ISOFOLD_FAKE cuStreamCreate(CUstream* stream, unsigned) { return make(stream, state.streams); }
ISOFOLD_FAKE cuStreamDestroy_v2(CUstream) { return in_context(state.streams, -1); }
ISOFOLD_FAKE cuStreamSynchronize(CUstream) { return in_context(state.waits, 1); }
ISOFOLD_FAKE cuStreamIsCapturing(CUstream, CUstreamCaptureStatus* status) {
  return *status = state.capture, CUDA_SUCCESS;
}
ISOFOLD_FAKE cuStreamBeginCapture_v2(CUstream, CUstreamCaptureMode) {
  return state.capture = CU_STREAM_CAPTURE_STATUS_ACTIVE, CUDA_SUCCESS;
}
ISOFOLD_FAKE cuStreamEndCapture(CUstream, CUgraph* graph) {
  state.capture = CU_STREAM_CAPTURE_STATUS_NONE;
  return make(graph, state.graphs);
}
ISOFOLD_FAKE cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  thread_local CUstreamCaptureMode own = CU_STREAM_CAPTURE_MODE_GLOBAL;  // every thread has its own
  std::swap(own, *mode);
  return CUDA_SUCCESS;
}
ISOFOLD_FAKE cuGraphGetNodes(CUgraph, CUgraphNode*, std::size_t* count) { return *count = 3, CUDA_SUCCESS; }
ISOFOLD_FAKE cuGraphDestroy(CUgraph) { return in_context(state.graphs, -1); }
ISOFOLD_FAKE cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph, unsigned long long) {
  return make(executable, state.graph_execs);
}
ISOFOLD_FAKE cuGraphExecDestroy(CUgraphExec) { return in_context(state.graph_execs, -1); }
ISOFOLD_FAKE cuGraphLaunch(CUgraphExec, CUstream) { return CUDA_SUCCESS; }
ISOFOLD_FAKE cuEventCreate(CUevent* event, unsigned) { return make(event, state.events); }
ISOFOLD_FAKE cuEventDestroy_v2(CUevent) { return in_context(state.events, -1); }
ISOFOLD_FAKE cuEventRecord(CUevent, CUstream) { return CUDA_SUCCESS; }
ISOFOLD_FAKE cuEventElapsedTime(float* milliseconds, CUevent, CUevent) {
  return *milliseconds = 0.5f, CUDA_SUCCESS;
}
ISOFOLD_FAKE cuMemAlloc_v2(CUdeviceptr* pointer, std::size_t bytes) {
  if (bytes > (1u << 30)) return CUDA_ERROR_OUT_OF_MEMORY;
  *pointer = reinterpret_cast<CUdeviceptr>(std::malloc(bytes));
  return in_context(state.buffers, 1);
}
ISOFOLD_FAKE cuMemFree_v2(CUdeviceptr pointer) {
  std::free(reinterpret_cast<void*>(pointer));
  return in_context(state.buffers, -1);
}
ISOFOLD_FAKE cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  return *free = 5, *total = 6, CUDA_SUCCESS;
}
ISOFOLD_FAKE cuMemHostAlloc(void** pointer, std::size_t bytes, unsigned) {
  *pointer = std::malloc(bytes);
  return in_context(state.pinned, 1);
}
ISOFOLD_FAKE cuMemFreeHost(void* pointer) {
  std::free(pointer);
  return in_context(state.pinned, -1);
}

namespace {
CUresult copy(const void* from, void* to, std::size_t bytes) {
  if (current == nullptr) return CUresult{201};
  std::memcpy(to, from, bytes);
  return CUDA_SUCCESS;
}
void* at(CUdeviceptr pointer) { return reinterpret_cast<void*>(pointer); }
}  // namespace

ISOFOLD_FAKE cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, std::size_t bytes, CUstream) {
  return copy(from, at(to), bytes);
}
ISOFOLD_FAKE cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, std::size_t bytes, CUstream) {
  return copy(at(from), to, bytes);
}
ISOFOLD_FAKE cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, std::size_t bytes, CUstream) {
  return copy(at(from), at(to), bytes);
}
ISOFOLD_FAKE cuMemsetD8Async(CUdeviceptr to, unsigned char value, std::size_t count, CUstream) {
  return std::memset(at(to), value, count), CUDA_SUCCESS;
}
