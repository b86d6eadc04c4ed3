// The driver's wrappers over a stand-in for libcuda, and every way in which there is no driver.
#include "cuda_driver.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "cuda_handles.hpp"
#include "software_gpu/software_gpu.hpp"

using namespace isofold;
using namespace isofold::cuda;

namespace {

struct Gpu {
  std::shared_ptr<const Driver> driver = Driver::open(ISOFOLD_SOFTWARE_CUDA);
  SoftwareGpu& seen =
      *reinterpret_cast<SoftwareGpu* (*)()>(DynamicLibrary(ISOFOLD_SOFTWARE_CUDA).get("isofold_software_gpu"))();
};

/// An environment variable for as long as the object lives.
struct Variable {
  const char* name;
  Variable(const char* variable, const char* value) : name(variable) { setenv(name, value, 1); }
  ~Variable() { unsetenv(name); }
};

}  // namespace

TEST_CASE("no driver is the environment's fault, and the message says what to do") {
  CHECK_THROWS_WITH_AS(Driver::open("libisofold_absent.so.1"), doctest::Contains("libisofold_absent.so.1"),
                       UsageError);
  CHECK_THROWS_WITH_AS(Driver::open("libisofold_absent.so.1"), doctest::Contains("ISOFOLD_CUDA"), UsageError);
  CHECK_THROWS_WITH_AS(Driver::open("libdl.so.2"), doctest::Contains("has no function cuInit"), UsageError);
  const Variable none("SOFTWARE_GPU_NO_DEVICE", "1");
  CHECK_THROWS_WITH_AS(Driver::open(ISOFOLD_SOFTWARE_CUDA),
                       "cuInit: CUDA_ERROR_NO_DEVICE (100): said by the software GPU", UsageError);
}

TEST_CASE("a driver that is too old") {
  const Variable old("SOFTWARE_GPU_VERSION", "11080");
  CHECK_THROWS_WITH_AS(Driver::open(ISOFOLD_SOFTWARE_CUDA),
                       doctest::Contains("supports CUDA 11.8; 12.0 or newer is needed"), UsageError);
}

#ifdef ISOFOLD_STUB_CUDA
TEST_CASE("the toolkit's stub has every function and no device") {
  CHECK_THROWS_WITH_AS(Driver::open(ISOFOLD_STUB_CUDA),
                       doctest::Contains("is the toolkit's stub for linking"), UsageError);
}
#endif

TEST_CASE("devices") {
  const Gpu gpu;
  CHECK(gpu.driver->version() == 13000);
  CHECK(std::filesystem::equivalent(gpu.driver->library_path(), ISOFOLD_SOFTWARE_CUDA));
  CHECK(gpu.driver->device_count() == 2);
  const DeviceInfo info = gpu.driver->device(0);
  CHECK(info.name == "Software GPU sm_90");
  CHECK(info.arch == 90);
  CHECK(info.sm_count == software_multiprocessors);
  CHECK(info.max_threads_per_sm == software_threads_per_multiprocessor);
  CHECK(info.registers_per_sm == software_registers_per_multiprocessor);
  CHECK(info.shared_bytes_per_sm == software_shared_bytes_per_multiprocessor);
  CHECK(info.max_shared_bytes_per_block == software_shared_bytes_per_block);
  CHECK(info.l2_bytes == software_l2_bytes);
  CHECK(info.memory_bytes == software_memory_bytes);
  CHECK(gpu.driver->device(1).arch == 80);
  for (int ordinal : {-1, 2})
    CHECK_THROWS_WITH_AS(gpu.driver->device(ordinal),
                         doctest::Contains("this process sees 2 CUDA device(s)"), UsageError);
}

TEST_CASE("a context is current only while it is needed, in the thread that needs it") {
  const Gpu gpu;
  const auto first = std::make_shared<const Context>(gpu.driver, 0);
  const Context second(gpu.driver, 1);
  CHECK(gpu.seen.contexts == 2);
  const auto current = [&] {
    CUcontext context = nullptr;
    gpu.driver->api().cuCtxGetCurrent(&context);
    return context;
  };
  CHECK(current() == nullptr);
  {
    const CurrentContext outer(*first);
    CHECK(current() == first->handle());
    {
      const CurrentContext inner(second);
      CHECK(current() == second.handle());
      std::jthread([&] { CHECK(current() == nullptr); });
    }
    CHECK(current() == first->handle());
    const int switches = gpu.seen.switches;
    { const CurrentContext again(*first); }
    CHECK(gpu.seen.switches == switches);
  }
  CHECK(current() == nullptr);
  const Stream stream(first);
  const DeviceBuffer buffer(first, 1 << 20);
  CHECK(first->free_memory() == software_memory_bytes - (1 << 20));
  first->synchronize();
  CHECK(current() == nullptr);
}

TEST_CASE("in the child of a fork a context says so, and gives nothing back") {
  const Gpu gpu;
  auto context = std::make_shared<const Context>(gpu.driver, 0);
  const pid_t child = fork();
  if (child == 0) {
    try {
      const DeviceBuffer buffer(context, 16);
      _exit(1);
    } catch (const UsageError& error) {
      if (std::string_view(error.what()).find("was opened before this process was forked") == std::string_view::npos) _exit(2);
    }
    context.reset();
    _exit(gpu.seen.contexts == 1 ? 0 : 3);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK_FALSE(context->forked());
}

TEST_CASE("every object is released once, also when moved, and keeps its context") {
  const Gpu gpu;
  {
    auto context = std::make_shared<const Context>(gpu.driver, 0);
    Stream stream(context);
    Stream moved(std::move(stream));
    const Event start(context), end(context);
    start.record(moved.get());
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    end.record(moved.get());
    CHECK(end.microseconds_since(start) >= 2000);
    CHECK(start.microseconds_since(end) == -end.microseconds_since(start));
    DeviceBuffer buffer(context, 100);
    DeviceBuffer other(context, 50);
    other = std::move(buffer);
    CHECK(other.bytes() == 100);
    const PinnedBuffer pinned(context, 10);
    const DeviceBuffer empty(context, 0);
    CHECK(empty.data() == nullptr);
    const auto capture = [&] {
      CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
      gpu.driver->api().cuStreamIsCapturing(moved.get(), &status);
      return status;
    };
    const GraphExec graph(moved, [&] {
      CHECK(capture() == CU_STREAM_CAPTURE_STATUS_ACTIVE);
      other.fill_async(1, moved.get());
      other.fill_async(2, moved.get());
    });
    CHECK(graph.size() == 2);
    other.fill_async(0, moved.get());
    graph.launch(moved.get());
    CHECK(*static_cast<const char*>(other.data()) == 2);
    CHECK(capture() == CU_STREAM_CAPTURE_STATUS_NONE);
    CHECK_THROWS_WITH(GraphExec(moved, [] { throw std::runtime_error("no kernel"); }), "no kernel");
    CHECK(capture() == CU_STREAM_CAPTURE_STATUS_NONE);
    context.reset();
    CHECK(gpu.seen.contexts == 1);
    CHECK(gpu.seen.streams == 1);
    CHECK(gpu.seen.events == 2);
    CHECK(gpu.seen.buffers == 1);
    CHECK(gpu.seen.pinned == 1);
    CHECK(gpu.seen.graph_execs == 1);
    CHECK(gpu.seen.graphs == 0);
  }
  CHECK(gpu.seen.contexts == 0);
  CHECK(gpu.seen.streams == 0);
  CHECK(gpu.seen.events == 0);
  CHECK(gpu.seen.buffers == 0);
  CHECK(gpu.seen.pinned == 0);
  CHECK(gpu.seen.graph_execs == 0);
}

TEST_CASE("device memory") {
  const Gpu gpu;
  const auto context = std::make_shared<const Context>(gpu.driver, 0);
  const Stream stream(context);
  const DeviceBuffer buffer(context, 8);
  char bytes[8] = {};
  buffer.fill_async(7, stream.get());
  buffer.upload_async("ab", 2, stream.get(), 3);
  buffer.download_async(bytes, 8, stream.get());
  CHECK(std::string(bytes, 8) == "\7\7\7ab\7\7\7");
  buffer.download_async(bytes, 2, stream.get(), 4);
  CHECK(std::string(bytes, 2) == "b\7");
  CHECK_THROWS_AS(buffer.upload_async("abc", 3, stream.get(), 6), InternalError);
  CHECK_THROWS_AS(buffer.download_async(bytes, 1, stream.get(), 9), InternalError);
  // What DeviceBuffer does not check, the software GPU does.
  const CurrentContext current(*context);
  const FunctionTable& api = gpu.driver->api();
  const auto begin = reinterpret_cast<CUdeviceptr>(buffer.data());
  CHECK(api.cuMemsetD8Async(begin + 3, 0, 6, stream.get()) == CUDA_ERROR_INVALID_VALUE);
  CHECK(api.cuMemcpyHtoDAsync_v2(begin - 1, bytes, 1, stream.get()) == CUDA_ERROR_INVALID_VALUE);
  CHECK(api.cuMemcpyDtoDAsync_v2(begin, begin + 4, 5, stream.get()) == CUDA_ERROR_INVALID_VALUE);
  CHECK_THROWS_WITH_AS(DeviceBuffer(context, std::size_t{1} << 40), doctest::Contains("cuMemAlloc: "),
                       UsageError);
}

TEST_CASE("the software GPU captures as strictly as a driver") {
  const Gpu gpu;
  const auto context = std::make_shared<const Context>(gpu.driver, 0), other_context = std::make_shared<const Context>(gpu.driver, 1);
  const Stream apart(context);
  const DeviceBuffer buffer(context, 8);
  const CurrentContext current(*context);
  const FunctionTable& api = gpu.driver->api();
  const auto begin = reinterpret_cast<CUdeviceptr>(buffer.data());
  const auto fill = [&](CUstream stream) { return api.cuMemsetD8Async(begin, 1, 8, stream); };
  CUstream blocking = nullptr;
  REQUIRE(api.cuStreamCreate(&blocking, 0) == CUDA_SUCCESS);
  CUgraph graph = nullptr;
  const auto end = [&](CUstream stream) {
    const CUresult result = api.cuStreamEndCapture(stream, &graph);
    if (result == CUDA_SUCCESS) api.cuGraphDestroy(graph);
    return result;
  };
  const auto status = [&](CUstream stream) {
    CUstreamCaptureStatus now = CU_STREAM_CAPTURE_STATUS_NONE;
    CHECK(api.cuStreamIsCapturing(stream, &now) == CUDA_SUCCESS);
    return now;
  };
  CHECK(api.cuStreamBeginCapture_v2(nullptr, CU_STREAM_CAPTURE_MODE_RELAXED) == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  CHECK(end(nullptr) == illegal_state);
  CHECK(end(blocking) == illegal_state);

  // The null stream waits for blocking streams, in whatever mode they are captured: use of it ends their captures.
  for (const CUstreamCaptureMode mode : {CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, CU_STREAM_CAPTURE_MODE_RELAXED}) {
    REQUIRE(api.cuStreamBeginCapture_v2(blocking, mode) == CUDA_SUCCESS);
    CUstreamCaptureStatus unknown{};
    CHECK(api.cuStreamIsCapturing(nullptr, &unknown) == CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    {
      const CurrentContext elsewhere(*other_context);
      CHECK(status(nullptr) == CU_STREAM_CAPTURE_STATUS_NONE);
    }
    CHECK(status(blocking) == CU_STREAM_CAPTURE_STATUS_ACTIVE);
    CHECK(fill(apart.get()) == CUDA_SUCCESS);
    CHECK(status(blocking) == CU_STREAM_CAPTURE_STATUS_ACTIVE);
    CHECK((mode == CU_STREAM_CAPTURE_MODE_GLOBAL ? api.cuStreamSynchronize(nullptr) : fill(nullptr)) == CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    CHECK(status(blocking) == CU_STREAM_CAPTURE_STATUS_INVALIDATED);
    CHECK(end(blocking) == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    CHECK(fill(nullptr) == CUDA_SUCCESS);
  }

  // It has nothing to do with others.
  REQUIRE(api.cuStreamBeginCapture_v2(apart.get(), CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_SUCCESS);
  CHECK(status(nullptr) == CU_STREAM_CAPTURE_STATUS_NONE);
  CHECK(fill(nullptr) == CUDA_SUCCESS);
  std::jthread([&] {
    const CurrentContext here(*context);
    CHECK(end(apart.get()) == wrong_capture_thread);
  }).join();
  CHECK(end(apart.get()) == CUDA_SUCCESS);
  REQUIRE(api.cuStreamBeginCapture_v2(apart.get(), CU_STREAM_CAPTURE_MODE_RELAXED) == CUDA_SUCCESS);
  std::jthread([&] {
    const CurrentContext here(*context);
    CHECK(end(apart.get()) == CUDA_SUCCESS);
  }).join();
  CHECK(api.cuStreamDestroy_v2(blocking) == CUDA_SUCCESS);
}

TEST_CASE("a launch passes its shape, attributes and arguments") {
  const Gpu gpu;
  const auto context = std::make_shared<const Context>(gpu.driver, 0);
  {
    const Module module(context, "cubin of the test");
    const DeviceFunction function = module.function("kernel", 100'000, true);
    CHECK(gpu.seen.function_loads == 1);
    CHECK(gpu.seen.function_attributes.at(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) == 100'000);
    CHECK(gpu.seen.function_attributes.at(CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED) == 1);

    const Stream stream(context);
    int value = 42;
    void* arguments[] = {&value};
    function.launch(stream.get(), {.grid = {1, 2, 3}, .block = {4, 5, 6}, .shared_bytes = 7}, arguments);
    const CUlaunchConfig& plain = gpu.seen.launch;
    CHECK(plain.gridDimX == 1);
    CHECK(plain.gridDimZ == 3);
    CHECK(plain.blockDimY == 5);
    CHECK(plain.sharedMemBytes == 7);
    CHECK(plain.hStream == stream.get());
    CHECK(plain.numAttrs == 0);
    CHECK(gpu.seen.argument == 42);

    const LaunchShape all{.cluster = {4, 2, 1}, .dependent_launch = true};
    function.launch(stream.get(), all, arguments);
    REQUIRE(gpu.seen.launch.numAttrs == 2);
    CHECK(gpu.seen.attributes[0].id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
    CHECK(gpu.seen.attributes[0].value.clusterDim.x == 4);
    CHECK(gpu.seen.attributes[0].value.clusterDim.y == 2);
    CHECK(gpu.seen.attributes[0].value.clusterDim.z == 1);
    CHECK(gpu.seen.attributes[1].id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
    CHECK(gpu.seen.attributes[1].value.programmaticStreamSerializationAllowed == 1);

    CHECK_THROWS_WITH_AS(module.function("absent"), doctest::Contains("cuLibraryGetKernel: "), UsageError);
    CHECK_THROWS_WITH_AS(Module(context, "no cubin"), doctest::Contains("cuLibraryLoadData: "), UsageError);
  }
  CHECK(gpu.seen.libraries == 0);
}
