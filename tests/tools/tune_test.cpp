// Needs the CPU backend.
#include <doctest/doctest.h>

#include "command.hpp"

using namespace isofold::testing;

namespace {

std::vector<std::string> tune(const std::string& n, const std::string& file) {
  return {"tune",     "--device", "cpu",       "--op", "rms_norm", "-n", n,
          "--tokens", "1,16",     "--seconds", "5",  "--output", file};
}

std::size_t lines(const std::string& text) {
  std::size_t count = 0;
  for (const char c : text) count += c == '\n';
  return count;
}

}  // namespace

TEST_CASE("tune writes a table, keeps what is in it, and replaces its own record") {
  const CommandWorld world;
  const std::string file = world.path("folder/table.jsonl");
  const Json first = world.json(tune("256", file));
  CHECK(first.at("operators")[0].at("written") == true);
  CHECK(first.at("operators")[0].at("rejected").empty());
  CHECK(first.at("operators")[0].at("tokens").size() == 2);
  CHECK(lines(read_text(file)) == 1);
  world.json(tune("512", file));
  world.json(tune("256", file));
  CHECK(lines(read_text(file)) == 2);
}

TEST_CASE("a record keeps the token counts of the earlier one that were not measured again") {
  const CommandWorld world;
  const std::string file = world.path("table.jsonl");
  world.json(tune("256", file));  // 1 and 16
  Json record = Json::parse(read_text(file));
  const auto range = [](int first, const char* schedule, int measured, int last) {
    return Json{{"first_tokens", first},
                {"schedule", schedule},
                {"microseconds", 1},
                {"measured_tokens", measured},
                {"last_measured_tokens", last}};
  };
  // Of what lies inside 1 .. 16 nothing is left; the range that reaches beyond stays for the count it is
  // known for.
  record["ranges"] = {range(1, "cpu width=4 memory=cached", 4, 4),
                      range(6, "cpu width=4 memory=streaming", 8, 64),
                      range(91, "cpu width=4 memory=cached", 128, 512)};
  write_text(file, record.dump() + "\n");
  const auto again = world.run(tune("256", file));
  CHECK(again.status == 0);
  CHECK(again.output.find("merged with the record of") != again.output.npos);
  const Json ranges = Json::parse(read_text(file)).at("ranges");
  REQUIRE(ranges.size() >= 3);
  CHECK(ranges[0].at("first_tokens") == 1);
  CHECK(ranges[0].at("measured_tokens") == 1);
  const Json& kept = ranges[ranges.size() - 2];
  CHECK(kept.at("first_tokens") == 32);  // the geometric middle of 16 and 64
  CHECK(kept.at("schedule") == "cpu width=4 memory=streaming");
  CHECK(kept.at("last_measured_tokens") == 64);
  CHECK(ranges.back() == record["ranges"][2]);

  // All token counts measured again: nothing is left to merge.
  write_text(file, record.dump() + "\n");
  std::vector<std::string> all = tune("256", file);
  for (std::string& argument : all)
    if (argument == "1,16") argument = "1,512";
  CHECK(world.json(all).at("operators")[0].at("merged_with").is_null());
  CHECK(Json::parse(read_text(file)).at("ranges").back().at("last_measured_tokens") == 512);
}

TEST_CASE("token counts for which no time was left are named") {
  const CommandWorld world;
  std::vector<std::string> arguments = tune("8192", world.path("t.jsonl"));
  for (std::string& argument : arguments) {
    if (argument == "1,16") argument = "1..64";
    if (argument == "0.3") argument = "0.1";
  }
  const auto result = world.run(arguments);
  CHECK(result.status == 0);
  CHECK(result.output.find("of 64 token counts were not measured: raise --seconds") != result.output.npos);
  const Json op = world.json(arguments).at("operators")[0];
  CHECK(op.at("not_measured").size() + op.at("tokens").size() == 64);
}

TEST_CASE("what was tuned is used from then on") {
  const CommandWorld world;
  std::vector<std::string> arguments = tune("256", "");
  arguments.resize(arguments.size() - 2);  // no --output: the user's own table
  const Json tuned = world.json(arguments);
  const Json plan = world.json({"inspect", "--device", "cpu", "--op", "rms_norm", "-n", "256"});
  CHECK(plan.at("origin").get<std::string>().starts_with("table " + tuned.at("table").get<std::string>()));
}

TEST_CASE("the price of invariance is printed with --folds") {
  const CommandWorld world;
  std::vector<std::string> arguments = tune("256", world.path("t.jsonl"));
  arguments.insert(arguments.end(), {"--folds", "--max-candidates", "1"});
  const Json json = world.json(arguments);
  for (const Json& result : json.at("operators")[0].at("tokens"))
    CHECK(result.at("price_of_invariance").get<double>() > 0);
}

TEST_CASE("a table that holds other things, or cannot be written, is refused before anything is measured") {
  const CommandWorld world;
  const std::string file = world.path("table.jsonl");
  write_text(file, "someone's notes\n");
  world.refused(tune("256", file), "table.jsonl");
  CHECK(read_text(file) == "someone's notes\n");
  world.refused(tune("256", "/dev/null/table.jsonl"), "/dev/null");
  world.refused(tune("256", world.path("")), "is a folder");
}

TEST_CASE("an interrupted tune leaves a whole table, or none") {
  const CommandWorld world;
  const std::string file = world.path("table.jsonl");
  for (const char* delay : {"0.2", "1"}) {
    std::vector<std::string> command = {"timeout", "--foreground", "--preserve-status",      "--signal=INT", delay,
                                        "env",     "HOME=" + world.path(""), ISOFOLD_COMMAND};
    for (std::string& argument : tune("8192", file)) command.push_back(argument == "0.3" ? "300" : argument);
    command.push_back("--json");
    const auto result = isofold::tools::run_program(command);
    CAPTURE(result.errors);
    CHECK((result.status == 130 || result.status == 0));
    const auto inspect = world.run({"inspect", "--device", "cpu"});
    CHECK(inspect.status == 0);
    if (result.output.empty()) continue;  // the signal came before there was anything to finish
    const Json json = Json::parse(result.output, nullptr, false);
    REQUIRE_FALSE(json.is_discarded());
    for (const Json& op : json.at("operators"))
      if (op.at("written") == true) CHECK(lines(read_text(file)) == 1);
  }
}
