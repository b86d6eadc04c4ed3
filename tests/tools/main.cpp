#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <string>

#include "command.hpp"

namespace {

/// Is what `--needs=<need>` asks for here?
bool has(const std::string& need) {
  using namespace isofold::testing;
  if (need == "cpu") return has_cpu_backend();
  if (need == "nvrtc") return has_nvrtc();
  if (need == "browser") return has_cpu_backend() && !browser().empty();
  return has_nvrtc() || has_cpu_backend();
}

}  // namespace

// --needs=cpu, nvrtc, compiler (one of the two) or browser (and cpu): exit code 77 tells ctest that it is missing here.
int main(int argc, char** argv) {
  const std::string option = "--needs=";
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (!argument.starts_with(option) || has(argument.substr(option.size()))) continue;
    std::printf("skipped: there is no %s here\n", argument.substr(option.size()).c_str());
    return 77;
  }
  doctest::Context context(argc, argv);
  return context.run();
}
