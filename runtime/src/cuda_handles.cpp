#include "cuda_handles.hpp"

#include <fmt/format.h>

namespace isofold {

using namespace cuda;

namespace release {
namespace {

/// Makes the context current if it can, and ignores what the call returns: at process exit the driver may be gone.
/// Releasing touches no captured stream, so a capture in global mode in some thread shall not be broken by it.
template <class Call>
void quietly(const Context& context, Call call) noexcept {
  if (context.forked()) return;
  const FunctionTable& api = context.api();
  CUcontext previous = nullptr;
  if (api.cuCtxGetCurrent(&previous) != CUDA_SUCCESS) return;
  const bool change = previous != context.handle();
  if (change && api.cuCtxSetCurrent(context.handle()) != CUDA_SUCCESS) return;
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  const bool relaxed = api.cuThreadExchangeStreamCaptureMode(&mode) == CUDA_SUCCESS;
  call(api);
  if (relaxed) api.cuThreadExchangeStreamCaptureMode(&mode);
  if (change) api.cuCtxSetCurrent(previous);
}

}  // namespace

void device_memory(const Context& context, CUdeviceptr pointer) noexcept {
  quietly(context, [&](const FunctionTable& api) { api.cuMemFree_v2(pointer); });
}
void pinned_memory(const Context& context, void* pointer) noexcept {
  quietly(context, [&](const FunctionTable& api) { api.cuMemFreeHost(pointer); });
}
void stream(const Context& context, CUstream stream) noexcept {
  quietly(context, [&](const FunctionTable& api) { api.cuStreamDestroy_v2(stream); });
}
void event(const Context& context, CUevent event) noexcept {
  quietly(context, [&](const FunctionTable& api) { api.cuEventDestroy_v2(event); });
}
void library(const Context& context, CUlibrary library) noexcept {
  quietly(context, [&](const FunctionTable& api) { api.cuLibraryUnload(library); });
}
void graph(const Context& context, CUgraph graph) noexcept {
  quietly(context, [&](const FunctionTable& api) { api.cuGraphDestroy(graph); });
}
void graph_exec(const Context& context, CUgraphExec executable) noexcept {
  quietly(context, [&](const FunctionTable& api) { api.cuGraphExecDestroy(executable); });
}

}  // namespace release

namespace {

/// Runs `call` with the functions and the context current, and checks what it returns.
template <class Call>
void run(const Context& context, const char* what, Call call) {
  const CurrentContext current(context);
  context.driver().check(call(context.api()), what);
}

/// A launch in the driver's form; `attributes` has room for all that a shape can ask for.
struct DriverLaunch {
  CUlaunchConfig config{};
  std::array<CUlaunchAttribute, 2> attributes{};

  DriverLaunch(const LaunchShape& shape, CUstream stream) {
    config = {.gridDimX = shape.grid[0],
              .gridDimY = shape.grid[1],
              .gridDimZ = shape.grid[2],
              .blockDimX = shape.block[0],
              .blockDimY = shape.block[1],
              .blockDimZ = shape.block[2],
              .sharedMemBytes = shape.shared_bytes,
              .hStream = stream,
              .attrs = attributes.data(),
              .numAttrs = 0};
    if (shape.cluster[0] * shape.cluster[1] * shape.cluster[2] > 1)
      add(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION).clusterDim = {shape.cluster[0], shape.cluster[1],
                                                               shape.cluster[2]};
    if (shape.dependent_launch)
      add(CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION).programmaticStreamSerializationAllowed = 1;
  }
  DriverLaunch(const DriverLaunch&) = delete;

  CUlaunchAttributeValue& add(CUlaunchAttributeID id) {
    CUlaunchAttribute& attribute = attributes[config.numAttrs++];
    attribute.id = id;
    return attribute.value;
  }
};

}  // namespace

Stream::Stream(ContextPointer context) {
  CUstream stream = nullptr;
  run(*context, "cuStreamCreate",
      [&](auto& api) { return api.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING); });
  handle_ = {std::move(context), stream};
}

void Stream::synchronize() const {
  run(*context(), "cuStreamSynchronize", [&](auto& api) { return api.cuStreamSynchronize(get()); });
}

Event::Event(ContextPointer context) {
  CUevent event = nullptr;
  run(*context, "cuEventCreate", [&](auto& api) { return api.cuEventCreate(&event, CU_EVENT_DEFAULT); });
  handle_ = {std::move(context), event};
}

void Event::record(CUstream stream) const {
  run(*handle_.context(), "cuEventRecord", [&](auto& api) { return api.cuEventRecord(get(), stream); });
}

double Event::microseconds_since(const Event& start) const {
  float milliseconds = 0;
  run(*handle_.context(), "cuEventElapsedTime",
      [&](auto& api) { return api.cuEventElapsedTime(&milliseconds, start.get(), get()); });
  return 1000.0 * static_cast<double>(milliseconds);
}

DeviceBuffer::DeviceBuffer(ContextPointer context, std::size_t bytes) : bytes_(bytes) {
  CUdeviceptr pointer = 0;
  if (bytes > 0) run(*context, "cuMemAlloc", [&](auto& api) { return api.cuMemAlloc_v2(&pointer, bytes); });
  handle_ = {std::move(context), pointer};
}

CUdeviceptr DeviceBuffer::at(std::size_t offset, std::size_t bytes) const {
  if (offset > bytes_ || bytes > bytes_ - offset)
    throw InternalError(
        fmt::format("{} bytes at offset {} of a device buffer of {} bytes", bytes, offset, bytes_));
  return handle_.get() + offset;
}

void DeviceBuffer::upload_async(const void* source, std::size_t bytes, CUstream stream,
                                std::size_t offset) const {
  const CUdeviceptr destination = at(offset, bytes);
  if (bytes == 0) return;
  run(*handle_.context(), "cuMemcpyHtoDAsync",
      [&](auto& api) { return api.cuMemcpyHtoDAsync_v2(destination, source, bytes, stream); });
}

void DeviceBuffer::download_async(void* destination, std::size_t bytes, CUstream stream,
                                  std::size_t offset) const {
  const CUdeviceptr source = at(offset, bytes);
  if (bytes == 0) return;
  run(*handle_.context(), "cuMemcpyDtoHAsync",
      [&](auto& api) { return api.cuMemcpyDtoHAsync_v2(destination, source, bytes, stream); });
}

void DeviceBuffer::fill_async(unsigned char value, CUstream stream) const {
  if (bytes_ == 0) return;
  run(*handle_.context(), "cuMemsetD8Async",
      [&](auto& api) { return api.cuMemsetD8Async(handle_.get(), value, bytes_, stream); });
}

PinnedBuffer::PinnedBuffer(ContextPointer context, std::size_t bytes) : bytes_(bytes) {
  void* pointer = nullptr;
  if (bytes > 0)
    run(*context, "cuMemHostAlloc",
        [&](auto& api) { return api.cuMemHostAlloc(&pointer, bytes, CU_MEMHOSTALLOC_PORTABLE); });
  handle_ = {std::move(context), pointer};
}

void DeviceFunction::launch(CUstream stream, const LaunchShape& shape, void** arguments) const {
  const DriverLaunch launch(shape, stream);
  run(*context_, "cuLaunchKernelEx",
      [&](auto& api) { return api.cuLaunchKernelEx(&launch.config, handle_, arguments, nullptr); });
}

Module::Module(ContextPointer context, std::string_view cubin) {
  CUlibrary library = nullptr;
  run(*context, "cuLibraryLoadData", [&](auto& api) {
    return api.cuLibraryLoadData(&library, cubin.data(), nullptr, nullptr, 0, nullptr, nullptr, 0);
  });
  handle_ = {std::move(context), library};
}

DeviceFunction Module::function(const std::string& name, unsigned max_shared_bytes, bool large_cluster) const {
  const Context& context = *handle_.context();
  const Driver& driver = context.driver();
  const FunctionTable& api = context.api();
  const CurrentContext current(context);
  DeviceFunction function;
  function.context_ = &context;
  CUkernel kernel = nullptr;
  driver.check(api.cuLibraryGetKernel(&kernel, handle_.get(), name.c_str()), "cuLibraryGetKernel");
  driver.check(api.cuKernelGetFunction(&function.handle_, kernel), "cuKernelGetFunction");
  if (driver.func_load() != nullptr) driver.check(driver.func_load()(function.handle_), "cuFuncLoad");
  const auto set = [&](CUfunction_attribute attribute, int value) {
    driver.check(api.cuFuncSetAttribute(function.handle_, attribute, value), "cuFuncSetAttribute");
  };
  if (max_shared_bytes > 0)
    set(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, static_cast<int>(max_shared_bytes));
  if (large_cluster) set(CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1);
  return function;
}

GraphExec::GraphExec(const Stream& stream, const std::function<void()>& record) {
  const ContextPointer& context = stream.context();
  const FunctionTable& api = context->api();
  run(*context, "cuStreamBeginCapture",
      [&](auto&) { return api.cuStreamBeginCapture_v2(stream.get(), CU_STREAM_CAPTURE_MODE_THREAD_LOCAL); });
  const auto end = [&](CUgraph& graph) {
    const CurrentContext current(*context);
    return api.cuStreamEndCapture(stream.get(), &graph);
  };
  CUgraph graph = nullptr;
  try {
    record();
  } catch (...) {
    end(graph);
    const DriverHandle<CUgraph, release::graph> discarded(context, graph);
    throw;
  }
  context->driver().check(end(graph), "cuStreamEndCapture");
  const DriverHandle<CUgraph, release::graph> captured(context, graph);
  CUgraphExec executable = nullptr;
  run(*context, "cuGraphInstantiate",
      [&](auto&) { return api.cuGraphInstantiateWithFlags(&executable, graph, 0); });
  handle_ = {context, executable};
  run(*context, "cuGraphGetNodes", [&](auto&) { return api.cuGraphGetNodes(graph, nullptr, &size_); });
}

void GraphExec::launch(CUstream stream) const {
  run(*handle_.context(), "cuGraphLaunch",
      [&](auto& api) { return api.cuGraphLaunch(handle_.get(), stream); });
}

}  // namespace isofold
