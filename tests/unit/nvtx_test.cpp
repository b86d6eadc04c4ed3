// Ranges for a profiler, through the table of functions that NVTX has it fill in.
#include "nvtx.hpp"

#include <dlfcn.h>

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <vector>

using namespace isofold;

TEST_CASE("ranges reach the profiler that the environment names, and nothing happens without one") {
  std::vector<std::string> lines;
  Log log(LogLevel::debug, [&](LogLevel level, std::string_view message) {
    lines.push_back(std::string(name_of(level)) + " " + std::string(message));
  });
  const std::string path = std::getenv("NVTX_INJECTION64_PATH");
  const Nvtx* const nvtx = Nvtx::of_process(log);
  REQUIRE(nvtx != nullptr);
  CHECK(lines == std::vector<std::string>{"debug NVTX: ranges go to " + path});
  CHECK(Nvtx::of_process(log) == nvtx);
  {
    const NvtxRange outer(nvtx, nvtx->registered("rms_norm"), 17);
    const NvtxRange inner(nvtx, std::string("prepare rms_norm"), -1);
    const NvtxRange none(nullptr, nullptr, 1);
  }
  const auto text = reinterpret_cast<const char* (*)()>(dlsym(dlopen(path.c_str(), RTLD_NOW), "fake_profiler_log"));
  REQUIRE((text != nullptr));
  CHECK(std::string(text()) == "isofold push rms_norm 17;isofold push prepare rms_norm -1;pop;pop;");
}
