#include <doctest/doctest.h>

#include "command.hpp"
#include "support/error_text.hpp"

using namespace isofold::testing;

TEST_CASE("inspect needs no GPU for a GPU's source, plan, tree and candidates") {
  const CommandWorld world;
  for (const char* device : {"sm_80", "sm_90", "sm_100"}) {
    CHECK(contains(world.show("source", device), "__global__"));
    CHECK(contains(world.show("plan", device), "chosen by    cost model"));
    CHECK(contains(world.show("tree", device), "Who does what"));
    CHECK(contains(world.show("candidates", device), "cheapest first"));
  }
}

TEST_CASE("the command in a generated source makes that source again") {
  const CommandWorld world;
  const std::string source = world.show("source", "sm_90");
  const std::string mark = "isofold inspect ";
  const std::size_t start = source.find(mark);
  REQUIRE(start != source.npos);
  const std::string command =
      source.substr(start + mark.size(), source.find('\n', start) - start - mark.size());
  // The words are quoted for a shell; none holds a quote itself.
  std::vector<std::string> arguments = {"inspect"};
  std::string word;
  bool quoted = false;
  for (const char c : command + " ") {
    if (c == '\'') {
      quoted = !quoted;
    } else if (c == ' ' && !quoted) {
      arguments.push_back(word);
      word.clear();
    } else {
      word += c;
    }
  }
  const auto again = world.run(arguments);
  CAPTURE(again.errors);
  CHECK(again.output == source);
}

TEST_CASE("every view is one JSON document that says what it shows") {
  const CommandWorld world;
  for (const char* view : {"plan", "tree", "candidates", "source"}) {
    const Json json = world.json({"inspect", "-n", "512", "--show", view, "--device", "sm_90"});
    CHECK(json.at("show") == view);
    CHECK(json.at("bits_id").get<std::string>().size() == 32);
    CHECK(json.at("schedule").get<std::string>().starts_with("gpu "));
  }
}

TEST_CASE(
    "the picture of the tree is right at the edges: one element, short rows, skipped lanes and segments") {
  const CommandWorld world;
  const auto tree = [&](const std::string& n, const std::string& fold) {
    std::vector<std::string> arguments = {"inspect", "--op", "rms_norm", "-n",   n,
                                          "--show",  "tree", "--device", "sm_90"};
    if (!fold.empty()) arguments.insert(arguments.end(), {"--fold", fold});
    const auto result = world.run(arguments);
    CAPTURE(result.errors);
    CHECK(result.status == 0);
    return result.output;
  };
  const std::string one = tree("1", "");
  CHECK(contains(one, "A row of 1 element is cut into 1 leaf"));
  CHECK_FALSE(contains(one, "The lane tree"));
  const std::string small = tree("100", "");
  CHECK(contains(small, "lane   15   skipped"));
  CHECK(contains(small, "leaves        0..12"));
  CHECK(contains(small, "elements          0..99"));
  CHECK(contains(tree("8192", ""), "⋮ 22 more"));
  // Adjacent pairs: of four segments 0 joins 1, 2 joins 3, then both.
  CHECK(contains(
      tree("1024", "leaf=8 lanes=32 segments=4"),
      "  segment    0 ─┐\n  segment    1 ─┴──┐\n  segment    2 ─┐  │\n  segment    3 ─┴──┴─→ sum\n"));
  // Halving: of eight lanes 0 joins 4, then 2 and 6, then the odd ones.
  CHECK(contains(
      tree("256", "leaf=8 lanes=8 segments=4"),
      "  lane    0 ─┐\n  lane    4 ─┴──┐\n  lane    2 ─┐  │\n  lane    6 ─┴──┴──┐\n"
      "  lane    1 ─┐     │\n  lane    5 ─┴──┐  │\n  lane    3 ─┐  │  │\n  lane    7 ─┴──┴──┴─→ segment 0\n"));
}
