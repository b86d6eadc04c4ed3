// A GPU in software: a stand-in for libcuda with the same exported names, two devices, and counters that say what was created,
// released and launched. Kernels that the stand-in for NVRTC compiled are run on the host, in the thread that launches
// them; an image that begins with "cubin" holds a kernel that computes nothing. It is compiled against the product's
// own declarations, which cuda_api_test.cpp compares with the toolkit's.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "image.hpp"
#include "kernels.hpp"
#include "software_gpu.hpp"

using namespace isofold::cuda;
using namespace isofold::software_gpu;

struct CUgraph_st {
  std::vector<Work> nodes;
};
struct CUgraphExec_st {
  std::vector<Work> nodes;
};
struct CUstream_st {
  CUcontext context = nullptr;
  bool blocking = false;  // the null stream waits for it, and it for the null stream
  CUgraph recording = nullptr;
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  std::thread::id thread = {};
  bool invalidated = false;
};
struct CUevent_st {
  std::chrono::steady_clock::time_point time;
};
struct CUlib_st {
  std::shared_ptr<const isofold::simt::HostLibrary> kernels;
  std::map<std::string, Function> functions;
};

namespace {

constexpr CUresult invalid_image{200}, invalid_context{201};

std::recursive_mutex mutex;  // guards everything below
SoftwareGpu state;
std::map<CUdeviceptr, std::size_t> allocations;
std::vector<CUstream> captures;

thread_local CUcontext current = nullptr;
thread_local CUstreamCaptureMode capture_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

char device_contexts[2];
CUcontext context_of(CUdevice device) { return reinterpret_cast<CUcontext>(&device_contexts[device]); }

CUresult in_context(int& counter, int change) {
  const std::lock_guard lock(mutex);
  if (current == nullptr) return invalid_context;
  counter += change;
  return CUDA_SUCCESS;
}

template <class Object>
CUresult make(Object** handle, int& counter) {
  const CUresult result = in_context(counter, 1);
  if (result == CUDA_SUCCESS) *handle = new Object();
  return result;
}
template <class Object>
CUresult release(Object* handle, int& counter) {
  const CUresult result = in_context(counter, -1);
  if (result == CUDA_SUCCESS) delete handle;
  return result;
}

/// What a call that may wait for the device, or change what it has, returns while something is captured: the documentation
/// of cuThreadExchangeStreamCaptureMode says for whom that ends the capture.
CUresult potentially_unsafe() {
  const std::lock_guard lock(mutex);
  CUresult result = CUDA_SUCCESS;
  for (CUstream stream : captures) {
    const bool own = stream->thread == std::this_thread::get_id() && stream->mode != CU_STREAM_CAPTURE_MODE_RELAXED;
    const bool other = stream->mode == CU_STREAM_CAPTURE_MODE_GLOBAL && capture_mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
    if (capture_mode == CU_STREAM_CAPTURE_MODE_RELAXED || (!own && !other)) continue;
    stream->invalidated = true;
    result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  return result;
}

/// The captures that use of the null stream would have it wait for.
std::vector<CUstream> captures_before_null_stream() {
  std::vector<CUstream> found;
  for (CUstream stream : captures)
    if (stream->blocking && stream->context == current) found.push_back(stream);
  return found;
}

/// What use of the null stream returns: it ends such captures.
CUresult use_null_stream() {
  const std::vector<CUstream> waited_for = captures_before_null_stream();
  for (CUstream stream : waited_for) stream->invalidated = true;
  return waited_for.empty() ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
}

/// Runs `work` now, or records it while the stream is captured.
CUresult enqueue(CUstream stream, Work work) {
  if (current == nullptr) return invalid_context;
  const std::unique_lock lock(mutex);
  if (stream == nullptr)
    if (const CUresult result = use_null_stream(); result != CUDA_SUCCESS) return result;
  if (stream == nullptr || stream->recording == nullptr) return work();
  if (stream->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  return stream->recording->nodes.push_back(std::move(work)), CUDA_SUCCESS;
}

std::vector<isofold::simt::GlobalRange> global_memory() {
  std::vector<isofold::simt::GlobalRange> ranges;
  for (const auto& [pointer, bytes] : allocations)
    ranges.push_back({reinterpret_cast<const std::byte*>(pointer), 1, bytes, bytes, true});
  return ranges;
}

void* at(CUdeviceptr pointer) { return reinterpret_cast<void*>(pointer); }

/// `bytes` bytes of one allocation.
struct DeviceRange {
  CUdeviceptr begin;
  std::size_t bytes;

  bool allocated() const {
    const auto next = allocations.upper_bound(begin);
    if (next == allocations.begin()) return false;
    const auto& [start, size] = *std::prev(next);
    return begin - start <= size && bytes <= size - (begin - start);
  }
};

CUresult copy(const void* from, void* to, std::vector<DeviceRange> ranges, CUstream stream) {
  return enqueue(stream, [from, to, ranges = std::move(ranges)] {
    for (const DeviceRange& range : ranges)
      if (!range.allocated()) return CUDA_ERROR_INVALID_VALUE;
    return std::memcpy(to, from, ranges[0].bytes), CUDA_SUCCESS;
  });
}

}  // namespace

#define SOFTWARE_CUDA extern "C" __attribute__((visibility("default"))) isofold::cuda::CUresult

extern "C" __attribute__((visibility("default"))) SoftwareGpu* isofold_software_gpu() { return &state; }

SOFTWARE_CUDA cuInit(unsigned) {
  return std::getenv("SOFTWARE_GPU_NO_DEVICE") ? CUDA_ERROR_NO_DEVICE : CUDA_SUCCESS;
}
SOFTWARE_CUDA cuDriverGetVersion(int* version) {
  const char* set = std::getenv("SOFTWARE_GPU_VERSION");
  *version = set != nullptr ? std::atoi(set) : 13000;
  return CUDA_SUCCESS;
}
SOFTWARE_CUDA cuGetErrorName(CUresult error, const char** text) {
  *text = error == CUDA_ERROR_NO_DEVICE ? "CUDA_ERROR_NO_DEVICE" : "CUDA_ERROR_IN_SOFTWARE";
  return CUDA_SUCCESS;
}
SOFTWARE_CUDA cuGetErrorString(CUresult error, const char** text) {
  *text = error == launch_failed ? last_fault().c_str() : "said by the software GPU";
  return CUDA_SUCCESS;
}
SOFTWARE_CUDA cuDeviceGetCount(int* count) { return *count = 2, CUDA_SUCCESS; }
SOFTWARE_CUDA cuDeviceGet(CUdevice* device, int ordinal) { return *device = ordinal, CUDA_SUCCESS; }
SOFTWARE_CUDA cuDeviceGetName(char* name, int length, CUdevice device) {
  std::strncpy(name, device == 0 ? "Software GPU sm_90" : "Software GPU sm_80", static_cast<std::size_t>(length));
  return CUDA_SUCCESS;
}
SOFTWARE_CUDA cuDeviceTotalMem_v2(std::size_t* bytes, CUdevice) { return *bytes = software_memory_bytes, CUDA_SUCCESS; }
SOFTWARE_CUDA cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  const char* major = std::getenv("SOFTWARE_GPU_MAJOR");
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = software_multiprocessors; break;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: *value = software_l2_bytes; break;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: *value = software_threads_per_multiprocessor; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = major != nullptr ? std::atoi(major) : device == 0 ? 9 : 8; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = 0; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: *value = software_shared_bytes_per_multiprocessor; break;
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR: *value = software_registers_per_multiprocessor; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = software_shared_bytes_per_block; break;
  }
  return CUDA_SUCCESS;
}
SOFTWARE_CUDA cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  const std::lock_guard lock(mutex);
  *context = context_of(device);
  ++state.contexts;
  return CUDA_SUCCESS;
}
SOFTWARE_CUDA cuDevicePrimaryCtxRelease_v2(CUdevice) {
  const std::lock_guard lock(mutex);
  return --state.contexts, CUDA_SUCCESS;
}
SOFTWARE_CUDA cuCtxSetCurrent(CUcontext context) {
  const std::lock_guard lock(mutex);
  return current = context, ++state.switches, CUDA_SUCCESS;
}
SOFTWARE_CUDA cuCtxGetCurrent(CUcontext* context) { return *context = current, CUDA_SUCCESS; }
SOFTWARE_CUDA cuCtxSynchronize() {
  const CUresult result = potentially_unsafe();
  return result == CUDA_SUCCESS ? in_context(state.waits, 1) : result;
}

SOFTWARE_CUDA cuLibraryLoadData(CUlibrary* library, const void* code, void*, void**, unsigned, void*, void**, unsigned) try {
  const auto* image = static_cast<const char*>(code);
  const std::string_view host_code = attached(image);
  if (host_code.empty() && std::strncmp(image, "cubin", 5) != 0) return invalid_image;
  if (const CUresult result = potentially_unsafe(); result != CUDA_SUCCESS) return result;
  const auto kernels = host_code.empty() ? nullptr : load_kernels(host_code);
  if (const CUresult result = make(library, state.libraries); result != CUDA_SUCCESS) return result;
  (*library)->kernels = kernels;
  return CUDA_SUCCESS;
} catch (const std::exception&) {
  return invalid_image;
}
SOFTWARE_CUDA cuLibraryUnload(CUlibrary library) { return release(library, state.libraries); }
SOFTWARE_CUDA cuLibraryGetKernel(CUkernel* kernel, CUlibrary library, const char* name) {
  isofold::simt::Launch launch;
  const bool known = library->kernels ? library->kernels->bind(launch, 0, name) : std::strcmp(name, "kernel") == 0;
  if (!known) return CUDA_ERROR_NOT_FOUND;
  const std::lock_guard lock(mutex);
  Function& function = library->functions[name];
  function.library = library->kernels;
  function.name = name;
  return *kernel = reinterpret_cast<CUkernel>(&function), CUDA_SUCCESS;
}
SOFTWARE_CUDA cuKernelGetFunction(CUfunction* function, CUkernel kernel) {
  return *function = reinterpret_cast<CUfunction>(kernel), CUDA_SUCCESS;
}
SOFTWARE_CUDA cuFuncLoad(CUfunction) { return in_context(state.function_loads, 1); }
SOFTWARE_CUDA cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value) {
  const std::lock_guard lock(mutex);
  auto& function = *reinterpret_cast<Function*>(handle);
  if (attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) {
    if (value > software_shared_bytes_per_block) return CUDA_ERROR_INVALID_VALUE;
    function.most_dynamic_shared_bytes = value;
  }
  if (attribute == CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED) function.large_clusters = value != 0;
  return state.function_attributes[attribute] = value, CUDA_SUCCESS;
}
SOFTWARE_CUDA cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction handle, void** arguments, void** extra) {
  if (current == nullptr || extra != nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto& function = *reinterpret_cast<const Function*>(handle);
  const std::lock_guard lock(mutex);
  state.launch = *config;
  for (unsigned index = 0; index < config->numAttrs; ++index) state.attributes[index] = config->attrs[index];
  Work work;
  if (function.library) {
    if (const CUresult result = make_launch(function, *config, arguments, global_memory, work); result != CUDA_SUCCESS) return result;
  } else {
    work = [argument = *static_cast<int*>(arguments[0])] { return state.argument = argument, CUDA_SUCCESS; };
  }
  return enqueue(config->hStream, std::move(work));
}

SOFTWARE_CUDA cuStreamCreate(CUstream* stream, unsigned flags) {
  const CUresult result = make(stream, state.streams);
  if (result == CUDA_SUCCESS) **stream = {.context = current, .blocking = (flags & CU_STREAM_NON_BLOCKING) == 0};
  return result;
}
SOFTWARE_CUDA cuStreamDestroy_v2(CUstream stream) { return release(stream, state.streams); }
SOFTWARE_CUDA cuStreamSynchronize(CUstream stream) {
  const std::lock_guard lock(mutex);
  if (stream != nullptr && stream->recording != nullptr) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  CUresult result = stream == nullptr ? use_null_stream() : CUDA_SUCCESS;
  if (result == CUDA_SUCCESS) result = potentially_unsafe();
  return result == CUDA_SUCCESS ? in_context(state.waits, 1) : result;
}
SOFTWARE_CUDA cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
  const std::lock_guard lock(mutex);
  if (stream == nullptr && !captures_before_null_stream().empty()) return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
  *status = stream == nullptr || stream->recording == nullptr ? CU_STREAM_CAPTURE_STATUS_NONE
            : stream->invalidated        ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                         : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  return CUDA_SUCCESS;
}
SOFTWARE_CUDA cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
  const std::lock_guard lock(mutex);
  if (stream == nullptr || stream->recording != nullptr) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  *stream = {.context = stream->context,
             .blocking = stream->blocking,
             .recording = new CUgraph_st(),
             .mode = mode,
             .thread = std::this_thread::get_id()};
  captures.push_back(stream);
  return CUDA_SUCCESS;
}
SOFTWARE_CUDA cuStreamEndCapture(CUstream stream, CUgraph* graph) {
  const std::lock_guard lock(mutex);
  if (stream == nullptr || stream->recording == nullptr) return illegal_state;
  if (stream->mode != CU_STREAM_CAPTURE_MODE_RELAXED && stream->thread != std::this_thread::get_id()) return wrong_capture_thread;
  std::erase(captures, stream);
  *graph = std::exchange(stream->recording, nullptr);
  if (!stream->invalidated) return in_context(state.graphs, 1);
  delete std::exchange(*graph, nullptr);
  return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
}
SOFTWARE_CUDA cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  return std::swap(capture_mode, *mode), CUDA_SUCCESS;
}
SOFTWARE_CUDA cuGraphGetNodes(CUgraph graph, CUgraphNode*, std::size_t* count) {
  return *count = graph->nodes.size(), CUDA_SUCCESS;
}
SOFTWARE_CUDA cuGraphDestroy(CUgraph graph) { return release(graph, state.graphs); }
SOFTWARE_CUDA cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph graph, unsigned long long) {
  const CUresult result = make(executable, state.graph_execs);
  if (result == CUDA_SUCCESS) (*executable)->nodes = graph->nodes;
  return result;
}
SOFTWARE_CUDA cuGraphExecDestroy(CUgraphExec executable) { return release(executable, state.graph_execs); }
SOFTWARE_CUDA cuGraphLaunch(CUgraphExec executable, CUstream stream) {
  return enqueue(stream, [executable] {
    CUresult result = CUDA_SUCCESS;
    for (Work& node : executable->nodes)
      if (result == CUDA_SUCCESS) result = node();
    return result;
  });
}

SOFTWARE_CUDA cuEventCreate(CUevent* event, unsigned) { return make(event, state.events); }
SOFTWARE_CUDA cuEventDestroy_v2(CUevent event) { return release(event, state.events); }
SOFTWARE_CUDA cuEventRecord(CUevent event, CUstream stream) {
  return enqueue(stream, [event] { return event->time = std::chrono::steady_clock::now(), CUDA_SUCCESS; });
}
SOFTWARE_CUDA cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return CUDA_SUCCESS;
}

SOFTWARE_CUDA cuMemAlloc_v2(CUdeviceptr* pointer, std::size_t bytes) {
  if (const CUresult result = potentially_unsafe(); result != CUDA_SUCCESS) return result;
  const std::lock_guard lock(mutex);
  if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  if (bytes > software_memory_bytes - state.device_bytes) return CUDA_ERROR_OUT_OF_MEMORY;
  if (const CUresult result = in_context(state.buffers, 1); result != CUDA_SUCCESS) return result;
  *pointer = reinterpret_cast<CUdeviceptr>(std::aligned_alloc(256, (bytes + 255) / 256 * 256));
  allocations[*pointer] = bytes;
  state.device_bytes += bytes;
  return CUDA_SUCCESS;
}
SOFTWARE_CUDA cuMemFree_v2(CUdeviceptr pointer) {
  const std::lock_guard lock(mutex);
  const auto found = allocations.find(pointer);
  if (found == allocations.end()) return CUDA_ERROR_INVALID_VALUE;
  state.device_bytes -= found->second;
  allocations.erase(found);
  std::free(at(pointer));
  return in_context(state.buffers, -1);
}
SOFTWARE_CUDA cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  const std::lock_guard lock(mutex);
  return *total = software_memory_bytes, *free = *total - state.device_bytes, CUDA_SUCCESS;
}
SOFTWARE_CUDA cuMemHostAlloc(void** pointer, std::size_t bytes, unsigned) {
  *pointer = std::malloc(bytes);
  return in_context(state.pinned, 1);
}
SOFTWARE_CUDA cuMemFreeHost(void* pointer) {
  std::free(pointer);
  return in_context(state.pinned, -1);
}
SOFTWARE_CUDA cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, std::size_t bytes, CUstream stream) {
  return copy(from, at(to), {{to, bytes}}, stream);
}
SOFTWARE_CUDA cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, std::size_t bytes, CUstream stream) {
  return copy(at(from), to, {{from, bytes}}, stream);
}
SOFTWARE_CUDA cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, std::size_t bytes, CUstream stream) {
  return copy(at(from), at(to), {{from, bytes}, {to, bytes}}, stream);
}
SOFTWARE_CUDA cuMemsetD8Async(CUdeviceptr to, unsigned char value, std::size_t count, CUstream stream) {
  return enqueue(stream, [=] {
    if (!DeviceRange{to, count}.allocated()) return CUDA_ERROR_INVALID_VALUE;
    return std::memset(at(to), value, count), CUDA_SUCCESS;
  });
}
