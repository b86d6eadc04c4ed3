#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <isofold/error.hpp>

#include <cstdio>
#include <string>

#include "cuda_driver.hpp"
#include "nvrtc.hpp"
#include "settings.hpp"

// Exit code 77 tells ctest that there was nothing to test. What goes wrong on a device that is there is a
// failure.
int main(int argc, char** argv) {
  using namespace isofold;
  try {
    const Settings settings = Settings::from_environment();
    if (Driver::open(settings.cuda.value)->device_count() == 0)
      throw UsageError("the driver finds no device");
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
