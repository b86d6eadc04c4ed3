// Needs the CPU backend.
#include <doctest/doctest.h>

#include "command.hpp"
#include "markup.hpp"
#include "programs.hpp"
#include "support/error_text.hpp"

using namespace isofold::testing;

namespace {

std::vector<std::string> library(const std::string& symbol, std::vector<std::string> more) {
  std::vector<std::string> arguments = {"probe", "--library", ISOFOLD_TEST_SUMS, "--symbol", symbol, "--tokens", "1,2,8,32"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

}  // namespace

TEST_CASE("every schedule of an operator has the tree of its fold, at every token count") {
  const CommandWorld world;
  for (const char* dtype : {"f32", "f64"}) {
    CAPTURE(dtype);
    const Json json = world.json({"probe", "--op", "sum", "-n", "1000", "--dtype", dtype, "--device", "cpu", "--fold",
                                  "leaf=8 lanes=32 segments=4", "--all-schedules", "--tokens", "1,7,64"});
    CHECK(json.at("batch_invariant") == true);
    CHECK(json.at("trees").size() == 1);
    CHECK(json.at("trees")[0].at("fold") == "leaf=8 lanes=32 segments=4");
    CHECK(json.at("schedules").size() >= 3 * 2);
  }
}

TEST_CASE("sums in 16 bits, scaled ones too, and their pictures") {
  const CommandWorld world;
  for (const std::string op : {"mean bf16", "sum bf16", "sum f16"}) {
    CAPTURE(op);
    const std::size_t blank = op.find(' ');
    const Json json = world.json({"probe", "--op", op.substr(0, blank), "-n", "600", "--dtype", op.substr(blank + 1), "--device", "cpu", "--tokens",
                                  "16,64", "--svg", world.path("tree.svg")});
    CHECK(json.at("batch_invariant") == true);
    CHECK(json.at("trees").size() == 1);
    CHECK(json.at("trees")[0].at("fold").get<std::string>().starts_with("leaf=8 lanes=32 "));
    CHECK(markup_fault(read_text(world.path("tree.svg"))) == "");
  }
}

TEST_CASE("functions of a shared library: their trees, and whether they depend on the batch") {
  const CommandWorld world;
  const Json chain = world.json(library("forwards", {"-n", "100"}));
  CHECK(chain.at("batch_invariant") == true);
  CHECK(chain.at("trees")[0].at("steps") == 99);
  for (const Json& count : chain.at("counts")) CHECK(count.at("as_predicted") == count.at("tokens"));

  const Json by_batch = world.json(library("by_batch", {"-n", "100"}), 1);
  CHECK(by_batch.at("batch_invariant") == false);
  REQUIRE(by_batch.at("trees").size() == 2);
  CHECK(by_batch.at("trees")[0].at("steps") == 50);
  CHECK(by_batch.at("counts")[1].at("tree") == "A");
  CHECK(by_batch.at("counts")[2].at("tree") == "B");
  CHECK(by_batch.at("counts")[3].at("differing_rows").get<int>() > 0);

  const Json by_place = world.json(library("by_place", {"-n", "100"}), 1);
  CHECK(by_place.at("batch_invariant") == false);
  CHECK(by_place.at("counts")[3].at("differing_rows").get<int>() > 0);

  const auto backwards = world.run(library("backwards", {"-n", "9", "--form", "value", "--dtype", "f64"}));
  CHECK(backwards.status == 0);
  CHECK(contains(backwards.output, "elements 0..8: a chain of 9, the last one first → sum"));

  const Json largest = world.json(library("largest", {"-n", "9", "--form", "value"}));
  CHECK(largest.at("trees").empty());
  CHECK(contains(largest.at("no_tree").get<std::string>(), "this is no sum"));
  CHECK(largest.at("batch_invariant") == true);  // whatever it is, its rows have the same bits
}

TEST_CASE("what cannot be called is an error with a reason") {
  const CommandWorld world;
  world.refused(library("no_such", {"-n", "9"}), "has no symbol no_such");
  world.refused(library("forwards", {"-n", "9", "--dtype", "bf16"}), "take f32 or f64");
  world.refused(library("forwards", {"-n", "9,10"}), "-n has 2 values");
  world.refused({"probe", "--library", "/no/such.so", "--symbol", "x", "-n", "9"}, "/no/such.so");
  world.refused({"probe", "--op", "masked_softmax", "-n", "9", "--device", "cpu"}, "numbers for each token");
  world.refused({"probe", "--python", "nothing"}, "needed is file.py:function");
}

TEST_CASE("functions in Python, where there is a python3") {
  if (!isofold::tools::find_program("python3")) return;
  const CommandWorld world;
  write_text(world.path("sums.py"),
             "import math\n"
             "def by_batch(rows):\n"
             "    print('what a function prints is not in the way')\n"
             "    if len(rows) > 4:\n"
             "        return [sum(row) for row in rows]\n"
             "    return [sum(row[: len(row) // 2]) + sum(row[len(row) // 2 :]) for row in rows]\n"
             "def exact(rows):\n"
             "    return [math.fsum(row) for row in rows]\n"
             "def wrong(rows):\n"
             "    return rows[0]\n"
             "def broken(rows):\n"
             "    raise ValueError('not today')\n"
             "def gone(rows):\n"
             "    import os, sys\n"
             "    print('good bye', file=sys.stderr, flush=True)\n"
             "    os._exit(1)\n");
  const auto python = [&](const std::string& name) {
    return std::vector<std::string>{"probe", "--python", world.path("sums.py:") + name, "--arrays", "list", "-n", "20"};
  };
  // Python 3.12 compensates sums of floats: no tree then, and the bits must say it all the same.
  const Json by_batch = world.json(python("by_batch"), 1);
  CHECK(by_batch.at("batch_invariant") == false);
  const Json exact = world.json(python("exact"));
  CHECK(exact.at("batch_invariant") == true);
  CHECK(contains(exact.at("no_tree").get<std::string>(), "compensated"));
  CHECK(contains(world.run(python("broken")).errors, "ValueError: not today"));
  CHECK(contains(world.run(python("wrong")).errors, "for 1 rows the function gave 20 results"));
  CHECK(contains(world.run(python("gone")).errors, "the Python process ended: good bye"));
  CHECK(contains(world.run(python("nothing")).errors, "has no attribute 'nothing'"));
}
