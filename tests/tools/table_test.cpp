#include <doctest/doctest.h>
#include <isofold/codegen/plan.hpp>
#include <isofold/codegen/rms_norm.hpp>

#include "command.hpp"
#include "support/error_text.hpp"

using namespace isofold::testing;

namespace {

/// A record of rms_norm over rows of n elements, measured at 8 tokens.
std::string record(std::int64_t n, const char* arch, int threads) {
  const isofold::Spec spec = isofold::rms_norm({.n = n});
  const isofold::Schedule schedule = isofold::GpuSchedule{.threads_per_row = threads};
  const Json json = {{"spec", text(spec)},
                     {"fold", "leaf=8 lanes=32 segments=4"},
                     {"device", text(*isofold::traits_of_arch(arch))},
                     {"environment", "a test"},
                     {"ranges", {{{"first_tokens", 1}, {"schedule", text(schedule)}, {"microseconds", 1}, {"measured_tokens", 8}}}}};
  return json.dump() + "\n";
}

}  // namespace

TEST_CASE("tables of several machines become one: the later file's record wins") {
  const CommandWorld world;
  const std::string a = world.path("a.jsonl"), b = world.path("b.jsonl"), out = world.path("folder/all.jsonl");
  write_text(a, record(1024, "sm_90", 32) + record(2048, "sm_90", 32));
  write_text(b, record(1024, "sm_90", 128) + record(1024, "sm_80", 32));
  const Json merged = world.json({"table", "merge", a, b, "--output", out});
  CHECK(merged.at("records") == 3);
  CHECK(merged.at("merged") == 1);
  const Json list = world.json({"table", "list", out});
  CHECK(list.at("records").size() == 3);
  const std::string text = read_text(out);
  CHECK(contains(text, "threads=128"));
  // In place: an output that is one of the files.
  CHECK(world.json({"table", "merge", a, b, "--output", a}).at("records") == 3);
  CHECK(read_text(a) == text);
}

TEST_CASE("a file with other lines is refused, nothing is written") {
  const CommandWorld world;
  const std::string a = world.path("a.jsonl"), out = world.path("all.jsonl");
  write_text(a, record(1024, "sm_90", 32) + "a note\n");
  world.refused({"table", "merge", a, "--output", out}, "a.jsonl:2");
  CHECK_THROWS(read_text(out));
  CHECK(world.run({"table", "list", world.path("none")}).status == 2);
  CHECK(world.run({"table", "merge", a}).status == 2);
}
