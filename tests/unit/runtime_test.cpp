// What a program hears of a runtime, and where.
#include <isofold/isofold.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <vector>

using namespace isofold;

namespace {

struct Heard {
  std::vector<LogLevel> levels;
  std::string text;
};

Heard open(std::optional<LogLevel> level, std::vector<std::string> tables = {}) {
  Heard heard;
  const Runtime runtime({.device = "cpu", .cache_folder = "off", .tables = std::move(tables), .log_level = level,
                         .log = [&](LogLevel of, std::string_view message) {
                           heard.levels.push_back(of);
                           heard.text += std::string(message) + "\n";
                         }});
  return heard;
}

}  // namespace

TEST_CASE("messages go to the program's own log, from the level that it names") {
  unsetenv("ISOFOLD_LOG");
  CHECK(open(std::nullopt).levels.empty());
  CHECK(open(LogLevel::info).levels == std::vector<LogLevel>{LogLevel::info});
  const Heard debug = open(LogLevel::debug);
  CHECK(debug.levels == std::vector<LogLevel>{LogLevel::info, LogLevel::debug});
  CHECK(debug.text.find("device cpu: ") == 0);
  CHECK(debug.text.find("tuning records; disk cache: off\n") != std::string::npos);
}

TEST_CASE("a level of the program's goes before the environment's") {
  setenv("ISOFOLD_LOG", "debug", 1);
  CHECK(open(std::nullopt).levels.size() == 2);
  CHECK(open(LogLevel::off).levels.empty());
  unsetenv("ISOFOLD_LOG");
}

TEST_CASE("a table line that is none is a warning") {
  const std::string path = "runtime_test_table.jsonl";
  FILE* file = std::fopen(path.c_str(), "w");
  REQUIRE(file != nullptr);
  std::fputs("not a record\n", file);
  std::fclose(file);
  const Heard heard = open(std::nullopt, {path});
  CHECK(heard.levels == std::vector<LogLevel>{LogLevel::warning});
  CHECK(heard.text.find(path + ":1") != std::string::npos);
  std::remove(path.c_str());
}

TEST_CASE("a record that cannot be written is refused by the name that it was given under") {
  const auto refused = [](const std::string& record) {
    try {
      Runtime({.device = "cpu", .cache_folder = "off", .tables = {}, .record = record});
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string("it was taken");
  };
  const std::string rest = " \"/no-such-folder/launches.jsonl\" is in a folder that does not exist";
  CHECK(refused("/no-such-folder/launches.jsonl") == "record" + rest);
  setenv("ISOFOLD_RECORD", "/no-such-folder/launches.jsonl", 1);
  CHECK(refused("") == "ISOFOLD_RECORD" + rest);
  unsetenv("ISOFOLD_RECORD");
}
