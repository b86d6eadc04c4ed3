// Devices that are not there or cannot be used. A stand-in for libcuda plays the devices.
#include <isofold/codegen/cpu_backend.hpp>
#include <isofold/isofold.hpp>

#include <doctest/doctest.h>

#include <string>

#include "environment.hpp"
#include "support/error_text.hpp"

using namespace isofold;
using namespace isofold::testing;

namespace {

Runtime open(const std::string& device) {
  return Runtime({.device = device, .cache_folder = "off", .tables = {}});
}
std::string error_of(const std::string& device) {
  return usage_error([&] { open(device); });
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
      {"ISOFOLD_CUDA", ISOFOLD_SOFTWARE_CUDA}, {"SOFTWARE_GPU_MAJOR", "7"}, {"ISOFOLD_LOG", "off"}};
  CHECK(error_of("cuda:0") == "cuda:0 (Software GPU sm_90) is sm_70, which is too old: sm_80 or later is needed");
  CHECK(contains(error_of("cuda:2"), "there is no device cuda:2"));
  if (!llvm_version().empty()) CHECK(open("auto").device_name() == "cpu");
}

TEST_CASE("no compiler for the device") {
  const Environment environment{
      {"ISOFOLD_CUDA", ISOFOLD_SOFTWARE_CUDA}, {"ISOFOLD_NVRTC", "libno-such-nvrtc.so"}, {"ISOFOLD_LOG", "off"}};
  CHECK(contains(error_of("cuda:0"), "libno-such-nvrtc.so"));
  if (!llvm_version().empty()) CHECK(open("auto").device_name() == "cpu");
}
