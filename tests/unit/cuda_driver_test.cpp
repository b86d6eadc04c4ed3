// The driver's wrappers over a stand-in for libcuda, and every way in which there is no driver.
#include "cuda_driver.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "cuda_handles.hpp"
#include "fake_cuda.hpp"

using namespace isofold;
using namespace isofold::cuda;

namespace {

struct Fake {
  std::shared_ptr<const Driver> driver = Driver::open(ISOFOLD_FAKE_CUDA);
  FakeCuda& seen =
      *reinterpret_cast<FakeCuda* (*)()>(DynamicLibrary(ISOFOLD_FAKE_CUDA).get("isofold_fake_cuda"))();
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
  const Variable none("FAKE_CUDA_NO_DEVICE", "1");
  CHECK_THROWS_WITH_AS(Driver::open(ISOFOLD_FAKE_CUDA),
                       "cuInit: CUDA_ERROR_NO_DEVICE (100): description by the fake", UsageError);
}

TEST_CASE("a driver that is too old") {
  const Variable old("FAKE_CUDA_VERSION", "11080");
  CHECK_THROWS_WITH_AS(Driver::open(ISOFOLD_FAKE_CUDA),
                       doctest::Contains("supports CUDA 11.8; 12.0 or newer is needed"), UsageError);
}

#ifdef ISOFOLD_STUB_CUDA
TEST_CASE("the toolkit's stub has every function and no device") {
  CHECK_THROWS_WITH_AS(Driver::open(ISOFOLD_STUB_CUDA),
                       doctest::Contains("is the toolkit's stub for linking"), UsageError);
}
#endif

TEST_CASE("devices") {
  const Fake fake;
  CHECK(fake.driver->version() == 13000);
  CHECK(std::filesystem::equivalent(fake.driver->library_path(), ISOFOLD_FAKE_CUDA));
  CHECK(fake.driver->device_count() == 2);
  const DeviceInfo info = fake.driver->device(0);
  CHECK(info.name == "Fake H100");
  CHECK(info.arch == 90);
  CHECK(info.sm_count == 16);
  CHECK(info.max_threads_per_sm == 39);
  CHECK(info.registers_per_sm == 82);
  CHECK(info.shared_bytes_per_sm == 81);
  CHECK(info.max_shared_bytes_per_block == 97);
  CHECK(info.l2_bytes == 38);
  CHECK(info.memory_bytes == 80ull << 30);
  CHECK(fake.driver->device(1).arch == 80);
  for (int ordinal : {-1, 2})
    CHECK_THROWS_WITH_AS(fake.driver->device(ordinal),
                         doctest::Contains("this process sees 2 CUDA device(s)"), UsageError);
}

TEST_CASE("a context is current only while it is needed, in the thread that needs it") {
  const Fake fake;
  const auto first = std::make_shared<const Context>(fake.driver, 0);
  const Context second(fake.driver, 1);
  CHECK(fake.seen.contexts == 2);
  const auto current = [&] {
    CUcontext context = nullptr;
    fake.driver->api().cuCtxGetCurrent(&context);
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
    const int switches = fake.seen.switches;
    { const CurrentContext again(*first); }
    CHECK(fake.seen.switches == switches);
  }
  CHECK(current() == nullptr);
  const Stream stream(first);
  CHECK(first->free_memory() == 5);
  first->synchronize();
  CHECK(current() == nullptr);
}

TEST_CASE("in the child of a fork a context says so, and gives nothing back") {
  const Fake fake;
  auto context = std::make_shared<const Context>(fake.driver, 0);
  const pid_t child = fork();
  if (child == 0) {
    try {
      const DeviceBuffer buffer(context, 16);
      _exit(1);
    } catch (const UsageError& error) {
      if (std::string_view(error.what()).find("was opened before this process was forked") == std::string_view::npos) _exit(2);
    }
    context.reset();
    _exit(fake.seen.contexts == 1 ? 0 : 3);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK_FALSE(context->forked());
}

TEST_CASE("every object is released once, also when moved, and keeps its context") {
  const Fake fake;
  {
    auto context = std::make_shared<const Context>(fake.driver, 0);
    Stream stream(context);
    Stream moved(std::move(stream));
    const Event start(context), end(context);
    start.record(moved.get());
    end.record(moved.get());
    CHECK(end.microseconds_since(start) == 500);
    DeviceBuffer buffer(context, 100);
    DeviceBuffer other(context, 50);
    other = std::move(buffer);
    CHECK(other.bytes() == 100);
    const PinnedBuffer pinned(context, 10);
    const DeviceBuffer empty(context, 0);
    CHECK(empty.data() == nullptr);
    const GraphExec graph(moved, [&] { CHECK(fake.seen.capture == CU_STREAM_CAPTURE_STATUS_ACTIVE); });
    graph.launch(moved.get());
    CHECK(graph.size() == 3);
    CHECK(fake.seen.capture == CU_STREAM_CAPTURE_STATUS_NONE);
    CHECK_THROWS_WITH(GraphExec(moved, [] { throw std::runtime_error("no kernel"); }), "no kernel");
    CHECK(fake.seen.capture == CU_STREAM_CAPTURE_STATUS_NONE);
    context.reset();
    CHECK(fake.seen.contexts == 1);
    CHECK(fake.seen.streams == 1);
    CHECK(fake.seen.events == 2);
    CHECK(fake.seen.buffers == 1);
    CHECK(fake.seen.pinned == 1);
    CHECK(fake.seen.graph_execs == 1);
    CHECK(fake.seen.graphs == 0);
  }
  CHECK(fake.seen.contexts == 0);
  CHECK(fake.seen.streams == 0);
  CHECK(fake.seen.events == 0);
  CHECK(fake.seen.buffers == 0);
  CHECK(fake.seen.pinned == 0);
  CHECK(fake.seen.graph_execs == 0);
}

TEST_CASE("device memory") {
  const Fake fake;
  const auto context = std::make_shared<const Context>(fake.driver, 0);
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
  CHECK_THROWS_WITH_AS(DeviceBuffer(context, std::size_t{1} << 40), doctest::Contains("cuMemAlloc: "),
                       UsageError);
}

TEST_CASE("a launch passes its shape, attributes and arguments") {
  const Fake fake;
  const auto context = std::make_shared<const Context>(fake.driver, 0);
  {
    const Module module(context, "cubin of the test");
    const DeviceFunction function = module.function("kernel", 100'000, true);
    CHECK(fake.seen.function_loads == 1);
    CHECK(fake.seen.function_attributes.at(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) == 100'000);
    CHECK(fake.seen.function_attributes.at(CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED) == 1);

    const Stream stream(context);
    int value = 42;
    void* arguments[] = {&value};
    function.launch(stream.get(), {.grid = {1, 2, 3}, .block = {4, 5, 6}, .shared_bytes = 7}, arguments);
    const CUlaunchConfig& plain = fake.seen.launch;
    CHECK(plain.gridDimX == 1);
    CHECK(plain.gridDimZ == 3);
    CHECK(plain.blockDimY == 5);
    CHECK(plain.sharedMemBytes == 7);
    CHECK(plain.hStream == stream.get());
    CHECK(plain.numAttrs == 0);
    CHECK(fake.seen.argument == 42);

    const LaunchShape all{.cluster = {4, 2, 1}, .dependent_launch = true};
    function.launch(stream.get(), all, arguments);
    REQUIRE(fake.seen.launch.numAttrs == 2);
    CHECK(fake.seen.attributes[0].id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
    CHECK(fake.seen.attributes[0].value.clusterDim.x == 4);
    CHECK(fake.seen.attributes[0].value.clusterDim.y == 2);
    CHECK(fake.seen.attributes[0].value.clusterDim.z == 1);
    CHECK(fake.seen.attributes[1].id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
    CHECK(fake.seen.attributes[1].value.programmaticStreamSerializationAllowed == 1);

    CHECK_THROWS_WITH_AS(module.function("absent"), doctest::Contains("cuLibraryGetKernel: "), UsageError);
    CHECK_THROWS_WITH_AS(Module(context, "no cubin"), doctest::Contains("cuLibraryLoadData: "), UsageError);
  }
  CHECK(fake.seen.libraries == 0);
}
