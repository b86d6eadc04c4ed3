// Needs NVRTC.
#include <doctest/doctest.h>

#include "command.hpp"
#include "support/error_text.hpp"

using namespace isofold::testing;

TEST_CASE("PTX and usage come from NVRTC, SASS from a disassembler or with a word on how to get one") {
  const CommandWorld world;
  CHECK(contains(world.show("ptx", "sm_90"), ".target sm_90"));
  CHECK(contains(world.show("usage", "sm_90"), "registers"));
  const Json usage = world.json({"inspect", "-n", "1024", "--show", "usage", "--device", "sm_80"});
  for (const Json& kernel : usage.at("kernels")) {
    CHECK(kernel.at("registers").get<int>() > 0);
    CHECK(kernel.at("spill_bytes") == 0);
    CHECK(kernel.at("occupancy").get<double>() > 0);
    CHECK(kernel.at("occupancy").get<double>() <= 1);
  }
  const auto sass = world.run({"inspect", "-n", "1024", "--show", "sass", "--device", "sm_90"});
  CHECK((sass.status == 0 ? contains(sass.output, "EXIT") : contains(sass.errors, "nvdisasm or cuobjdump")));
}

TEST_CASE("a cache that cannot be written costs a warning, not the result") {
  CommandWorld world;
  world.set("ISOFOLD_CACHE", "/dev/null/cache");
  const auto result = world.run({"inspect", "-n", "64", "--device", "sm_90", "--show", "ptx"});
  CHECK(result.status == 0);
  CHECK(contains(result.output, ".entry"));
  CHECK(contains(result.errors, "/dev/null/cache"));
}
