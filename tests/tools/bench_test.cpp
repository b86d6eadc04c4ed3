// Needs the CPU backend.
#include <doctest/doctest.h>

#include "command.hpp"
#include "markup.hpp"
#include "support/error_text.hpp"

using namespace isofold::testing;

TEST_CASE("bench measures on the CPU, and its document is what chart draws") {
  const CommandWorld world;
  const Json bench = world.json(
      {"bench", "--device", "cpu", "-n", "256", "--tokens", "1,16", "--no-python", "--seconds", "0.5"});
  CHECK(bench.at("tokens") == Json({1, 16}));
  for (const Json& line : bench.at("lines")) {
    CAPTURE(line.dump());
    if (line.at("key") != "isofold" && line.at("key") != "copy") continue;
    for (const Json& time : line.at("kernel_us")) CHECK(time.get<double>() > 0);
  }
  CHECK(bench.at("host_us").at("first_use_cold").get<double>() >
        bench.at("host_us").at("first_use_memory").get<double>());
  write_text(world.path("bench.json"), bench.dump());
  const Json made = world.json({"chart", "--from", world.path("bench.json"), "--output", world.path("c")});
  CHECK(markup_fault(read_text(made.at("svg"))) == "");
  const auto words = world.run(
      {"bench", "--device", "cpu", "-n", "256", "--tokens", "1", "--no-python", "--no-folds", "--no-host"});
  CHECK(words.status == 0);
  CHECK(contains(words.output, "% of copy"));
  CHECK(contains(words.output, "not asked for (--no-folds)"));
}
