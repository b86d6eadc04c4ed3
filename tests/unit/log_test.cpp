#include "log.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using isofold::Log;
using isofold::LogLevel;

TEST_CASE("messages above the level are dropped") {
  std::vector<std::string> lines;
  Log log(LogLevel::warning, [&](LogLevel level, std::string_view message) {
    lines.push_back(std::string(name_of(level)) + " " + std::string(message));
  });
  log.error("a");
  log.warning("b");
  log.info("c");
  log.debug("d");
  CHECK(lines == std::vector<std::string>{"error a", "warning b"});
  CHECK(log.enabled(LogLevel::error));
  CHECK_FALSE(log.enabled(LogLevel::info));
}

TEST_CASE("what a sink throws ends with it") {
  int count = 0;
  Log log(LogLevel::warning, [&](LogLevel, std::string_view) {
    ++count;
    throw 1;
  });
  CHECK_NOTHROW(log.error("a"));
  CHECK_NOTHROW(log.warn_once("topic", "b"));
  CHECK(count == 2);
}

TEST_CASE("off is silent") {
  int count = 0;
  Log log(LogLevel::off, [&](LogLevel, std::string_view) { ++count; });
  log.error("a");
  log.write(LogLevel::off, "b");
  log.warn_once("topic", "c");
  CHECK(count == 0);
}

TEST_CASE("a topic is warned of once") {
  std::vector<std::string> lines;
  Log log(LogLevel::warning, [&](LogLevel, std::string_view message) { lines.emplace_back(message); });
  log.warn_once("disk", "first");
  log.warn_once("disk", "second");
  log.warn_once("net", "third");
  CHECK(lines == std::vector<std::string>{"first", "third"});
}
