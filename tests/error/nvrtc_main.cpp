#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <isofold/error.hpp>

#include <cstdio>

#include "nvrtc.hpp"
#include "settings.hpp"

// Exit code 77 tells ctest that there is no NVRTC to test with.
int main(int argc, char** argv) {
  using namespace isofold;
  try {
    const Settings settings = Settings::from_environment();
    Nvrtc::open({.path = settings.nvrtc.value,
                 .cuda_roots = settings.cuda_roots,
                 .python_roots = settings.python_roots});
  } catch (const UsageError& error) {
    std::printf("skipped: %s\n", error.what());
    return 77;
  }
  doctest::Context context(argc, argv);
  return context.run();
}
