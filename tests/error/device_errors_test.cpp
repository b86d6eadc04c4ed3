// Devices that are not there or cannot be used. A stand-in for libcuda plays the devices.
#include <isofold/codegen/cpu_backend.hpp>
#include <isofold/isofold.hpp>

#include <dlfcn.h>
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "error_text.hpp"
#include "fake_cuda.hpp"
#include "nvrtc.hpp"

using namespace isofold;
using namespace isofold::testing;

namespace {

/// Sets variables for as long as it lives.
class Environment {
 public:
  explicit Environment(std::initializer_list<std::pair<const char*, std::string>> variables)
      : variables_(variables) {
    for (const auto& [name, value] : variables_) setenv(name, value.c_str(), 1);
  }
  Environment(const Environment&) = delete;
  ~Environment() {
    for (const auto& [name, value] : variables_) unsetenv(name);
  }

 private:
  std::vector<std::pair<const char*, std::string>> variables_;
};

Runtime open(const std::string& device) {
  return Runtime({.device = device, .cache_folder = "off", .tables = {}});
}
std::string error_of(const std::string& device) {
  return usage_error([&] { open(device); });
}

bool has_nvrtc() {
  try {
    Nvrtc::open();
  } catch (const UsageError&) {
    return false;
  }
  return true;
}

}  // namespace

TEST_CASE("names that are no devices") {
  for (const char* name :
       {"gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:0x", "CPU", "rocm:0", "cuda:99999999999"}) {
    INFO(name);
    CHECK(contains(error_of(name), "allowed: auto, cpu, cuda or cuda:<number of the device>"));
  }
  const Environment environment{{"ISOFOLD_DEVICE", "tpu"}};
  CHECK(contains(error_of(""), "ISOFOLD_DEVICE is \"tpu\""));
}

TEST_CASE("no driver") {
  const Environment environment{{"ISOFOLD_CUDA", "libno-such-cuda.so.9"}};
  CHECK(contains(error_of("cuda:0"), "libno-such-cuda.so.9"));
  if (llvm_version().empty()) {
    CHECK(contains(error_of("auto"), "no device can be used"));
    CHECK(contains(error_of("auto"), "built without LLVM"));
    CHECK(contains(error_of("cpu"), "built without LLVM"));
  } else {
    CHECK(open("auto").device_name() == "cpu");
  }
}

TEST_CASE("a device that is too old, or not there") {
  const Environment environment{
      {"ISOFOLD_CUDA", ISOFOLD_FAKE_CUDA}, {"FAKE_CUDA_MAJOR", "7"}, {"ISOFOLD_LOG", "off"}};
  CHECK(error_of("cuda:0") == "cuda:0 (Fake H100) is sm_70, which is too old: sm_80 or later is needed");
  CHECK(contains(error_of("cuda:2"), "there is no device cuda:2"));
  if (!llvm_version().empty()) CHECK(open("auto").device_name() == "cpu");
}

TEST_CASE("no compiler for the device") {
  const Environment environment{
      {"ISOFOLD_CUDA", ISOFOLD_FAKE_CUDA}, {"ISOFOLD_NVRTC", "libno-such-nvrtc.so"}, {"ISOFOLD_LOG", "off"}};
  CHECK(contains(error_of("cuda:0"), "libno-such-nvrtc.so"));
  if (!llvm_version().empty()) CHECK(open("auto").device_name() == "cpu");
}

TEST_CASE("a miss inside a capture names the kernel and asks nothing of the device") {
  if (!has_nvrtc()) {
    MESSAGE("skipped: no NVRTC");
    return;
  }
  const Environment environment{{"ISOFOLD_CUDA", ISOFOLD_FAKE_CUDA}};
  const Runtime runtime = open("cuda:0");
  const Operator op = runtime.rms_norm({.n = 4096});
  void* library = dlopen(ISOFOLD_FAKE_CUDA, RTLD_NOW | RTLD_NOLOAD);
  REQUIRE(library != nullptr);
  FakeCuda& cuda = *reinterpret_cast<FakeCuda* (*)()>(dlsym(library, "isofold_fake_cuda"))();
  cuda.capture = cuda::CU_STREAM_CAPTURE_STATUS_ACTIVE;
  const FakeCuda before = cuda;
  const auto at = [](std::uintptr_t place) { return reinterpret_cast<void*>(place << 20); };
  const std::string message = usage_error([&] {
    op.launch(nullptr, {.x = {at(1)}, .residual = {}, .weight = at(2), .y = {at(3)}, .residual_out = {}}, 7);
  });
  CHECK(contains(message, "rms_norm over 7 tokens needs the kernel rms_norm-" + digest_of(op.plan(7))));
  CHECK(contains(message, text(op.plan(7).schedule())));
  CHECK(contains(message, "The capture is still valid"));
  CHECK(cuda.waits == before.waits);
  CHECK(cuda.libraries == before.libraries);
  CHECK(cuda.buffers == before.buffers);
  cuda.capture = cuda::CU_STREAM_CAPTURE_STATUS_NONE;
  dlclose(library);
}

TEST_CASE("a kernel that the driver does not load") {
  if (!has_nvrtc()) {
    MESSAGE("skipped: no NVRTC");
    return;
  }
  // The stand-in takes no real cubin.
  const Environment environment{{"ISOFOLD_CUDA", ISOFOLD_FAKE_CUDA}};
  const Runtime runtime = open("cuda:0");
  const std::string message =
      usage_error([&] { runtime.rms_norm({.n = 64}).prepare(std::vector<std::int64_t>{1}); });
  INFO(message);
  CHECK(contains(message, "cuLibraryLoadData"));
}
