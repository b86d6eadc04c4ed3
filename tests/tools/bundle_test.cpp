// Needs the CPU backend.
#include <doctest/doctest.h>

#include "command.hpp"
#include "support/error_text.hpp"

using namespace isofold::testing;

namespace {

std::vector<std::string> verify(const std::string& n) {
  return {"verify", "--device", "cpu", "--op", "rms_norm", "-n", n, "--tokens", "1..16"};
}

}  // namespace

TEST_CASE("a bundle has what its operators launch, and nothing else runs where bundles are required") {
  CommandWorld world;
  const std::string file = world.path("folder/norms.bundle");
  const Json built = world.json({"bundle", "--op", "rms_norm", "-n", "128,256", "--device", "cpu", "--tokens", "1..64",
                                 "--alignment", "2", "--output", file});
  CHECK(built.at("operators") == 2);
  CHECK(built.at("kernels").get<int>() >= 3);  // and the kernel of the numerics probe
  const Json checked = world.json({"bundle", "--check", file});
  CHECK(checked.at("kernels") == built.at("kernels"));
  CHECK(checked.at("choices").size() == 2);

  world.set("ISOFOLD_BUNDLES", file);
  world.set("ISOFOLD_REQUIRE", "bundled");
  world.set("ISOFOLD_CACHE", "off");
  world.json(verify("256"));
  const std::string missing = world.refused(verify("512"), "the kernel rms_norm-");
  CHECK(contains(missing, "is in no bundle (" + file + ")"));
  CHECK(contains(missing, "rms_norm N=512 "));
  const Json plan = world.json({"inspect", "--device", "cpu", "--op", "rms_norm", "-n", "256"});
  CHECK(plan.at("origin") == "bundle " + file + " (cost model)");

  // A damaged bundle is an error, not a miss.
  std::string bytes = read_text(file);
  for (std::size_t i = bytes.size() / 2; i < bytes.size(); ++i) bytes[i] = static_cast<char>(bytes[i] ^ 1);
  write_text(file, bytes);
  world.refused(verify("256"), "damaged");
}

TEST_CASE("where nothing may be compiled, verify leaves out what the token counts asked for do not launch, and says so") {
  CommandWorld world;
  const Json plan = world.json({"inspect", "--device", "cpu", "--op", "rms_norm", "-n", "256"});
  const auto range = [](int first, const char* schedule) {
    return Json{{"first_tokens", first}, {"schedule", schedule}, {"microseconds", 1}, {"measured_tokens", first}};
  };
  const Json record = {{"spec", plan.at("spec")},
                       {"fold", plan.at("fold")},
                       {"device", plan.at("device_traits")},
                       {"environment", "a test"},
                       {"ranges", {range(1, "cpu width=4 memory=streaming"), range(100, "cpu width=4 memory=cached")}}};
  write_text(world.path("table.jsonl"), record.dump() + "\n");
  world.set("ISOFOLD_TABLES", world.path("table.jsonl"));
  const std::string file = world.path("norm.bundle");
  world.json({"bundle", "--op", "rms_norm", "-n", "256", "--device", "cpu", "--tokens", "1..16", "--alignment", "2", "--output", file});
  const auto compiled = world.run(verify("256"));
  CHECK(compiled.status == 0);
  CHECK(!contains(compiled.errors, "left out"));

  world.set("ISOFOLD_BUNDLES", file);
  world.set("ISOFOLD_REQUIRE", "bundled");
  world.set("ISOFOLD_CACHE", "off");
  const auto checked = world.run(verify("256"));
  CHECK(checked.status == 0);
  // 99 tokens launch what 16 do.
  CHECK(contains(checked.errors, "compiled here: 100 tokens"));
  CHECK(contains(checked.output, "  as launched                               17 launches"));
}

TEST_CASE("required tuning: what no table has is an error, what was tuned runs") {
  CommandWorld world;
  world.set("ISOFOLD_REQUIRE", "tuned");
  CHECK(contains(world.refused(verify("256"), "no table has a measured schedule"), "rms_norm N=256 "));
  world.json({"tune", "--device", "cpu", "--op", "rms_norm", "-n", "256", "--tokens", "1,8", "--seconds", "2"});
  world.json(verify("256"));
}

TEST_CASE("what an application launched is recorded, tuned and bundled") {
  CommandWorld world;
  const std::string record = world.path("record.jsonl");
  world.set("ISOFOLD_RECORD", record);
  world.json(verify("256"));
  world.set("ISOFOLD_RECORD", "");
  const Json line = Json::parse(read_text(record));
  CHECK(line.at("spec").get<std::string>().starts_with("rms_norm N=256 "));
  CHECK(line.at("launches").size() == 16);
  CHECK(line.at("others") == 0);

  const Json tuned = world.json({"tune", "--from", record, "--device", "cpu", "--seconds", "4", "--output",
                                 world.path("table.jsonl")});
  REQUIRE(tuned.at("operators").size() == 1);
  const Json& op = tuned.at("operators")[0];
  CHECK(op.at("spec") == line.at("spec"));
  CHECK(op.at("tokens").size() + op.at("not_measured").size() == 16);
  const Json bundled = world.json({"bundle", "--from", record, "--device", "cpu,avx512", "--output", world.path("b")});
  CHECK(bundled.at("operators") == 1);
  CHECK(bundled.at("devices").size() == 2);
  CHECK(world.run({"tune", "--from", record, "--op", "softmax"}).status == 2);
  write_text(record, "{}\n");
  CHECK(contains(world.run({"tune", "--from", record}).errors, "record.jsonl:1: not a record of launches"));
}

TEST_CASE("a list of operators is one bundle; a wrong line is named") {
  const CommandWorld world;
  const std::string list = world.path("list.txt");
  write_text(list,
             "# for the tests\n\n--op rms_norm -n 128,256 --tokens 1..8\n"
             "--op softmax -n 100 --dtype f32 --tokens 4 --device avx2\n");
  const Json built = world.json({"bundle", "--list", list, "--device", "x86-64", "--output", world.path("b")});
  CHECK(built.at("operators") == 3);
  CHECK(built.at("devices").size() == 2);
  const auto refused = [&](const std::string& text, const std::string& words) {
    write_text(list, text);
    world.refused({"bundle", "--list", list, "--output", world.path("c")}, words);
  };
  refused("--op rms_norm\n--op no_such\n", "list.txt:2: there is no operator \"no_such\"");
  refused("--oops\n", "list.txt:1: \"--oops\" is no operator");
  refused("# nothing\n", "lists no operator");
}
