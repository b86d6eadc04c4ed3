// Needs the CPU backend.
#include <doctest/doctest.h>

#include "command.hpp"
#include "support/error_text.hpp"

using namespace isofold::testing;

TEST_CASE("on the CPU there are LLVM IR and assembly, also for other processors") {
  const CommandWorld world;
  CHECK(contains(world.show("llvm", "cpu"), "define"));
  CHECK(world.show("source", "cpu") == world.show("llvm", "cpu"));
  CHECK(contains(world.show("asm", "avx2"), "ymm"));
  CHECK(contains(world.show("asm", "avx512"), "zmm"));
  CHECK(contains(world.show("asm", "aarch64"), "fmla"));
  CHECK(contains(world.show("usage", "cpu"), "object file"));
  CHECK(contains(world.show("tree", "cpu"), "vector registers"));
}

TEST_CASE("the log says at its most talkative what a runtime works with") {
  CommandWorld world;
  world.set("ISOFOLD_LOG", "debug");
  const auto result = world.run({"inspect", "--device", "cpu"});
  CHECK(result.status == 0);
  CHECK(contains(result.errors, "isofold: info: device cpu: "));
  CHECK(contains(result.errors, " tuning records; disk cache: " + world.path("")));
}
