// Kernels that cannot be loaded, or not now. NVRTC compiles for a stand-in for libcuda.
#include <isofold/isofold.hpp>

#include <dlfcn.h>
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "environment.hpp"
#include "runtime_impl.hpp"
#include "software_gpu/software_gpu.hpp"
#include "support/error_text.hpp"

using namespace isofold;
using namespace isofold::testing;

namespace {

Runtime fake_device() { return Runtime({.device = "cuda:0", .cache_folder = "off", .tables = {}}); }

}  // namespace

TEST_CASE("a miss inside a capture names the kernel and asks nothing of the device") {
  const Environment environment{{"ISOFOLD_CUDA", ISOFOLD_SOFTWARE_CUDA}};
  const Runtime runtime = fake_device();
  const Operator op = runtime.rms_norm({.n = 4096});
  void* library = dlopen(ISOFOLD_SOFTWARE_CUDA, RTLD_NOW | RTLD_NOLOAD);
  REQUIRE(library != nullptr);
  SoftwareGpu& cuda = *reinterpret_cast<SoftwareGpu* (*)()>(dlsym(library, "isofold_software_gpu"))();
  const Context& context = *runtime.impl()->context();
  const CurrentContext current(context);
  CUstream_st* captured = nullptr;  // which the null stream waits for
  REQUIRE(context.api().cuStreamCreate(&captured, 0) == cuda::CUDA_SUCCESS);
  REQUIRE(context.api().cuStreamBeginCapture_v2(captured, cuda::CU_STREAM_CAPTURE_MODE_GLOBAL) == cuda::CUDA_SUCCESS);
  const SoftwareGpu before = cuda;
  const auto at = [](std::uintptr_t place) { return reinterpret_cast<void*>(place << 20); };
  for (CUstream_st* stream : {captured, static_cast<CUstream_st*>(nullptr)}) {
    const std::string message = usage_error([&] {
      op.launch(stream, {.x = {at(1)}, .residual = {}, .weight = at(2), .y = {at(3)}, .residual_out = {}}, 7);
    });
    CHECK(contains(message, "rms_norm over 7 tokens needs the kernel rms_norm-" + digest_of(op.plan(7))));
    CHECK(contains(message, text(op.plan(7).schedule())));
    CHECK(contains(message, "The capture is still valid"));
    CHECK(cuda.waits == before.waits);
    CHECK(cuda.libraries == before.libraries);
    CHECK(cuda.buffers == before.buffers);
  }
  cuda::CUgraph graph = nullptr;
  CHECK(context.api().cuStreamEndCapture(captured, &graph) == cuda::CUDA_SUCCESS);
  context.api().cuGraphDestroy(graph);
  context.api().cuStreamDestroy_v2(captured);
  dlclose(library);
}

TEST_CASE("a kernel that the driver does not load") {
  // The stand-in takes no real cubin.
  const Environment environment{{"ISOFOLD_CUDA", ISOFOLD_SOFTWARE_CUDA}};
  const Runtime runtime = fake_device();
  const std::string message =
      usage_error([&] { runtime.rms_norm({.n = 64}).prepare(std::vector<std::int64_t>{1}); });
  INFO(message);
  CHECK(contains(message, "cuLibraryLoadData"));
}
