// Needs the CPU backend.
#include <doctest/doctest.h>

#include "command.hpp"
#include "markup.hpp"
#include "support/error_text.hpp"

using namespace isofold::testing;

namespace {

/// What every page has to be.
std::string checked_page(const std::string& path) {
  const std::string page = read_text(path);
  CHECK(markup_fault(page) == "");
  CHECK_FALSE(contains(page, "http"));
  CHECK_FALSE(contains(page, "<script"));
  CHECK(contains(page, "prefers-color-scheme:dark"));
  CHECK(contains(page, "name=\"viewport\""));
  return page;
}

}  // namespace

TEST_CASE("tune's page has times, the price of invariance, bandwidth, schedules and what it was measured with") {
  const CommandWorld world;
  world.json({"tune", "--op", "rms_norm", "-n", "256,512", "--device", "cpu", "--tokens", "1,16,64", "--seconds", "4", "--folds",
              "--max-candidates", "2", "--output", world.path("t.jsonl"), "--report", world.path("folder/tune.html")});
  const std::string page = checked_page(world.path("folder/tune.html"));
  for (const char* words : {"rms_norm N=256 bf16", "rms_norm N=512 bf16", "Time of a call", "The price of invariance", "Bandwidth, GB/s",
                            "Time of a call, µs", "Execution time (µs)", "A copy of as many bytes", "Schedules", "Environment", "in the geometric mean", "chosen\">", "LLVM"}) {
    CAPTURE(words);
    CHECK(contains(page, words));
  }
}

TEST_CASE("bench's and verify's pages") {
  const CommandWorld world;
  world.json({"bench", "--op", "softmax", "-n", "256", "--device", "cpu", "--tokens", "1,16", "--seconds", "1", "--no-python", "--no-host",
              "--report", world.path("bench.html")});
  const std::string bench = checked_page(world.path("bench.html"));
  CHECK(contains(bench, "memcpy of as many bytes"));
  CHECK(contains(bench, "Schedules"));
  world.json({"verify", "--op", "rms_norm", "-n", "256", "--device", "cpu", "--tokens", "1..8", "--report", world.path("verify.html")});
  const std::string verify = checked_page(world.path("verify.html"));
  CHECK(contains(verify, "as launched"));
  CHECK(contains(verify, "0 differing"));
  CHECK(contains(verify, ">from 1</th>"));
  CHECK(contains(verify, "What was compared"));
  CHECK(contains(verify, "class=\"same chosen\""));
  CHECK_FALSE(contains(verify, "Times of the tuning table"));
  CHECK(world.run({"verify", "--op", "rms_norm", "-n", "256", "--report", "/dev/null/x.html"}).status == 2);
}

TEST_CASE("verify's page has the times, the price and the bandwidth that the table knows") {
  CommandWorld world;
  world.json({"tune", "--op", "rms_norm", "-n", "256", "--device", "cpu", "--tokens", "1", "--seconds", "1", "--max-candidates", "1",
              "--output", world.path("t.jsonl")});
  Json record = Json::parse(read_text(world.path("t.jsonl")));
  const auto range = [](int first, const char* schedule, double microseconds, double any_fold) {
    return Json{{"first_tokens", first}, {"schedule", schedule}, {"microseconds", microseconds}, {"measured_tokens", first},
                {"any_fold_microseconds", any_fold}};
  };
  record["ranges"] = {range(1, "cpu width=8 memory=cached", 2100, 2000), range(64, "cpu width=4 memory=cached", 42000, 40000)};
  write_text(world.path("t.jsonl"), record.dump() + "\n");
  world.set("ISOFOLD_TABLES", world.path("t.jsonl"));
  world.json({"verify", "--op", "rms_norm", "-n", "256", "--device", "cpu", "--tokens", "1..8", "--report", world.path("verify.html")});
  const std::string page = checked_page(world.path("verify.html"));
  for (const char* words : {"Times of the tuning table", "t.jsonl:1</code>", "<td>42000</td>",
                            "takes 1.05 times", "1.050 in the geometric mean", "Bandwidth, GB/s", "Copy of as many bytes"}) {
    CAPTURE(words);
    CHECK(contains(page, words));
  }
}

TEST_CASE("schedules that cannot run fail the check and are named, the others are compared") {
  CommandWorld world;
  world.json({"bundle", "--op", "rms_norm", "-n", "256", "--device", "cpu", "--tokens", "1..257", "--output", world.path("norm.bundle")});
  world.set("ISOFOLD_BUNDLES", world.path("norm.bundle"));
  world.set("ISOFOLD_REQUIRE", "bundled");
  const Json json = world.json({"verify", "--op", "rms_norm", "-n", "256", "--device", "cpu", "--tokens", "1..8", "--all-schedules", "--report",
                                world.path("verify.html")}, 1);
  CHECK(json.at("passed") == false);
  CHECK(json.at("differing") == 0);
  std::size_t refused = 0;
  for (const Json& part : json.at("results")[0].at("parts")) {
    refused += part.at("refused").size();
    CHECK(part.at("launches") == part.at("planned_launches"));
  }
  CHECK(refused > 0);
  const std::string page = checked_page(world.path("verify.html"));
  CHECK(contains(page, std::to_string(refused) + " kernels did not run"));
  CHECK(contains(page, "<td class=\"refused\">did not run</td>"));
  CHECK(contains(page, "class=\"same"));
  CHECK(contains(page, "What did not run, and why"));
  CHECK(contains(page, "is in no bundle"));
}

TEST_CASE("stored hashes have a page, too") {
  const CommandWorld world;
  const std::string file = world.path("hashes.jsonl");
  world.json({"verify", "--op", "rms_norm", "-n", "64", "--device", "cpu", "--tokens", "1", "--write-hashes", file});
  world.json({"verify", "--hashes", file, "--device", "cpu", "--report", world.path("hashes.html")});
  const std::string page = checked_page(world.path("hashes.html"));
  CHECK(contains(page, "0 of 1 stored hashes differ."));
  CHECK(contains(page, "rms_norm N=64 bf16"));
}

TEST_CASE("inspect's page has the kernel's text and says why its schedule runs") {
  const CommandWorld world;
  world.json({"inspect", "--op", "rms_norm", "-n", "256", "--device", "cpu", "--tokens", "16", "--page", world.path("cpu.html")});
  const std::string cpu = checked_page(world.path("cpu.html"));
  for (const char* words : {"The plan", "The reduction tree", "lane 0: elements 0..7", "Who does what", "Why this schedule", "LLVM IR",
                            "Assembly", "a copy that moves as much takes"}) {
    CAPTURE(words);
    CHECK(contains(cpu, words));
  }
  world.json({"inspect", "--op", "add_rms_norm", "-n", "1024", "--device", "sm_90", "--page", world.path("gpu.html")});
  const std::string gpu = checked_page(world.path("gpu.html"));
  CHECK(contains(gpu, "CUDA source"));
  CHECK(contains(gpu, "__global__"));
  CHECK(contains(gpu, "(warp 1)"));
}

TEST_CASE("what was tuned keeps its runners-up, and inspect shows them") {
  CommandWorld world;
  world.json({"tune", "--op", "rms_norm", "-n", "4096", "--device", "cpu", "--tokens", "64", "--seconds", "3", "--output", world.path("t.jsonl")});
  // Which schedules come near one another is chance: the table is given its own.
  Json record = Json::parse(read_text(world.path("t.jsonl")));
  record["ranges"] = {{{"first_tokens", 1},
                       {"schedule", "cpu width=8 memory=cached"},
                       {"microseconds", 10},
                       {"measured_tokens", 64},
                       {"runners_up", {{{"schedule", "cpu width=4 memory=cached"}, {"microseconds", 12.5}}}}}};
  write_text(world.path("t.jsonl"), record.dump() + "\n");
  world.set("ISOFOLD_TABLES", world.path("t.jsonl"));
  const Json why = world.json({"inspect", "--op", "rms_norm", "-n", "4096", "--device", "cpu", "--tokens", "8", "--show", "why"});
  CHECK(why.at("measured") == true);
  CHECK(why.at("measured_tokens") == 64);
  REQUIRE(why.at("schedules").size() == 2);
  CHECK(why.at("schedules")[1].at("microseconds") == 12.5);
  const auto words = world.run({"inspect", "--op", "rms_norm", "-n", "4096", "--device", "cpu", "--show", "why"});
  CHECK(contains(words.output, "+25.0 %"));
}
