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

TEST_CASE("what the compiler or the driver does not take is left out of a tune, counted, and said once") {
  struct Fault {
    const char* variable;
    const char* reason;
    int status;  // when there is nothing else
  };
  for (const auto& [variable, reason, status] :
       {Fault{"SOFTWARE_GPU_REJECTS", "SOFTWARE_GPU_REJECTS names this text", 3}, Fault{"SOFTWARE_GPU_SPOILS", "cuLibraryLoadData", 2}}) {
    CAPTURE(variable);
    GpuWorld world;
    const std::string first =
        world.json({"inspect", "--op", "sum", "-n", "96", "--dtype", "f32", "--tokens", "1", "--show", "plan"}).at("schedule");
    const std::vector<std::string> tune = {"tune", "--op",      "sum", "-n",       "96",
                                           "--dtype", "f32",    "--tokens", "1",   "--seconds",
                                           "1",    "--max-candidates", "3", "--output", world.path("table.jsonl")};
    world.set(variable, first);
    const Json tuned = world.json(tune).at("operators")[0];
    REQUIRE(tuned.at("refused").size() == 1);
    CHECK(contains(tuned.at("refused")[0].get<std::string>(), first));
    CHECK(contains(tuned.at("refused")[0].get<std::string>(), reason));
    CHECK(tuned.at("rejected").empty());
    CHECK(tuned.at("tokens")[0].at("timings").size() == 2);
    for (const Json& timing : tuned.at("tokens")[0].at("timings")) CHECK(timing.at("schedule") != first);

    const auto printed = world.run(tune);
    CHECK(printed.status == 0);
    CHECK(contains(printed.output, "left out: 1 schedule that the compiler or the device did not take; the first: "));
    const std::size_t warning = printed.errors.find("isofold: warning: 1 of 3 schedules cannot be used and are left out; the first: ");
    CHECK(warning != printed.errors.npos);
    CHECK(printed.errors.find("isofold: warning: ", warning + 1) == printed.errors.npos);

    world.set(variable, "sum N=96");  // every text
    world.set("ISOFOLD_CACHE", "off");
    const auto none = world.run(tune);
    CAPTURE(none.errors);
    CHECK(none.status == status);
    CHECK(contains(none.errors, "none of 3 schedules can be used here; the first: "));
    CHECK(contains(none.errors, reason));
  }
}

TEST_CASE("verify names a schedule that the compiler does not take, fails, and compares the others") {
  GpuWorld world;
  const std::string first = world.json({"inspect", "--op", "max", "-n", "8", "--dtype", "f32", "--tokens", "1", "--show", "candidates"})
                                .at("candidates")
                                .back()
                                .at("schedule");
  world.set("SOFTWARE_GPU_REJECTS", first);
  const auto found = world.run({"verify", "--op", "max", "-n", "8", "--dtype", "f32", "--tokens", "1", "--all-schedules", "--json"});
  CAPTURE(found.errors);
  CHECK(found.status == 1);
  std::size_t refused = 0, elements = 0;
  const Json report = Json::parse(found.output);
  for (const Json& part : report.at("results")[0].at("parts")) {
    for (const Json& schedule : part.at("refused")) {
      ++refused;
      CHECK(contains(schedule.dump(), first));
      CHECK(contains(schedule.dump(), "SOFTWARE_GPU_REJECTS names this text"));
    }
    elements += part.at("elements").get<std::size_t>();
    CHECK(part.at("differing") == 0);
  }
  CHECK(refused > 0);
  CHECK(elements > 0);
}

TEST_CASE("a kernel that spills is named at the debug level, and races") {
  GpuWorld world;
  const std::vector<std::string> norm = {"--op", "layer_norm", "-n", "4096", "--dtype", "f32", "--tokens", "1"};
  const auto with_norm = [&](std::vector<std::string> command, const std::vector<std::string>& more) {
    command.insert(command.end(), norm.begin(), norm.end());
    command.insert(command.end(), more.begin(), more.end());
    return command;
  };
  // 64 elements in each thread's 32 registers.
  const std::string spills =
      "gpu threads=64 rows=1 blocks=1 split=none staging=registers vector=4 weights=late memory=streaming launch=dependent resident=32";
  const Json plan = world.json(with_norm({"inspect"}, {}));
  write_text(world.path("spills.jsonl"), Json{{"spec", plan.at("spec")},
                                              {"fold", plan.at("fold")},
                                              {"device", plan.at("device_traits")},
                                              {"environment", ""},
                                              {"ranges", {{{"first_tokens", 1}, {"schedule", spills}, {"microseconds", 1}, {"measured_tokens", 1}}}}}
                                                 .dump() +
                                             "\n");
  world.set("ISOFOLD_TABLES", world.path("spills.jsonl"));
  world.set("ISOFOLD_LOG", "debug");
  const auto tuned = world.run(with_norm({"tune"}, {"--max-candidates", "1", "--seconds", "1", "--output", world.path("table.jsonl"), "--json"}));
  CHECK(tuned.status == 0);
  const std::string words = " bytes of each thread in local memory: ";
  const std::size_t note = tuned.errors.find(words + spills);
  CAPTURE(tuned.errors);
  CHECK(note != tuned.errors.npos);
  CHECK(tuned.errors.find(words) == note);
  CHECK(tuned.errors.rfind(words) == note);
  const Json operators = Json::parse(tuned.output).at("operators");
  CHECK(operators[0].at("refused").empty());
  CHECK(contains(operators.dump(), spills));
}
