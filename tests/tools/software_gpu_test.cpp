// The command on a GPU, end to end, where there is none: on the stand-ins of tests/software_gpu. Times mean nothing there.
#include <doctest/doctest.h>

#include <sstream>

#include "command.hpp"
#include "support/error_text.hpp"

using namespace isofold::testing;

namespace {

struct GpuWorld : CommandWorld {
  GpuWorld() {
    set("ISOFOLD_CUDA", ISOFOLD_SOFTWARE_CUDA);
    set("ISOFOLD_NVRTC", ISOFOLD_SOFTWARE_NVRTC);
    set("ISOFOLD_DEVICE", "cuda:0");
  }
};

/// Every `step`-th line of a file.
std::string some_lines(const std::string& path, int step) {
  std::istringstream all(read_text(path));
  std::string some, line;
  for (int number = 0; std::getline(all, line); ++number)
    if (number % step == 0) some += line + "\n";
  return some;
}

}  // namespace

TEST_CASE("verify on a GPU: tokens, alignments, every schedule") {
  const GpuWorld world;
  const Json json = world.json({"verify", "--op", "softmax", "-n", "96", "--dtype", "f32", "--tokens", "1..5", "--all-schedules"});
  CHECK(json.at("passed") == true);
  CHECK(json.at("results")[0].at("device_name") == "Software_GPU_sm_90");
  CHECK(json.at("results")[0].at("parts").size() > 5);
}

TEST_CASE("results on a GPU have the hashes that a CPU stored") {
  GpuWorld world;
  write_text(world.path("some.jsonl"), some_lines(ISOFOLD_HASHES, 3));
  const Json json = world.json({"verify", "--hashes", world.path("some.jsonl")});
  CHECK(json.at("passed") == true);
  CHECK(json.at("hashes").size() >= 60);
}

TEST_CASE("a bundle for a GPU has all that its token counts launch at its alignment, with and without a workspace") {
  for (const char* n : {"4096", "1100000"}) {
    GpuWorld world;
    const std::string file = world.path("sum.bundle");
    world.json({"bundle", "--op", "sum", "-n", n, "--device", "cuda:0", "--tokens", "1..3", "--alignment", "2", "--output", file});
    world.set("ISOFOLD_BUNDLES", file);
    world.set("ISOFOLD_REQUIRE", "bundled");
    world.set("ISOFOLD_CACHE", "off");
    world.set("ISOFOLD_NVRTC", "libno-such-nvrtc.so");
    const Json json = world.json({"verify", "--op", "sum", "-n", n, "--tokens", "1..3"});
    CHECK(json.at("passed") == true);
  }
}

TEST_CASE("a kernel for worse aligned tensors than the bundle's: the message says which alignment has it") {
  GpuWorld world;
  const std::string file = world.path("norm.bundle");
  world.json({"bundle", "--op", "rms_norm", "-n", "256", "--device", "cuda:0", "--tokens", "1..3", "--output", file});
  world.set("ISOFOLD_BUNDLES", file);
  world.set("ISOFOLD_REQUIRE", "bundled");
  world.refused({"verify", "--op", "rms_norm", "-n", "256", "--tokens", "1..3"}, "`isofold bundle --alignment 2` adds it");
}

TEST_CASE("what a record says is tuned, launched and explained") {
  GpuWorld world;
  const std::string record = world.path("record.jsonl"), table = world.path("table.jsonl");
  world.set("ISOFOLD_RECORD", record);
  world.json({"verify", "--op", "sum", "-n", "96", "--dtype", "f32", "--tokens", "1,3"});
  Json launched = Json::parse(read_text(record));
  launched["launches"] = {{"1", 5}, {"3", 5}};
  write_text(record, launched.dump() + "\n");
  world.set("ISOFOLD_RECORD", "");
  const Json tuned = world.json({"tune", "--from", record, "--seconds", "6", "--output", table});
  REQUIRE(tuned.at("operators").size() == 1);
  CHECK(tuned.at("operators")[0].at("rejected").empty());
  CHECK(tuned.at("operators")[0].at("written") == true);
  world.set("ISOFOLD_TABLES", table);
  const Json plan = world.json({"inspect", "--op", "sum", "-n", "96", "--dtype", "f32", "--tokens", "3", "--show", "usage"});
  CHECK(plan.at("origin").get<std::string>().starts_with("table "));
  CHECK(plan.at("schedule") == tuned.at("operators")[0].at("tokens")[1].at("schedule"));
  CHECK(plan.at("kernels")[0].at("registers").get<int>() > 0);
}
