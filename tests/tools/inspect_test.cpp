#include <doctest/doctest.h>

#include "command.hpp"
#include "markup.hpp"
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

TEST_CASE("the picture speaks of what is reduced, and says where nothing is") {
  const CommandWorld world;
  const auto tree = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "inspect");
    arguments.insert(arguments.end(), {"--show", "tree", "--device", "sm_90"});
    return world.run(arguments).output;
  };
  const std::string largest = tree({"--op", "max", "-n", "1024"});
  CHECK(contains(largest, "→ maximum"));
  CHECK(contains(largest, "A maximum has the same bits in any order."));
  CHECK_FALSE(contains(largest, "sum"));
  CHECK(contains(tree({"--op", "softmax", "-n", "1024"}), "→ maximum, sum"));
  const std::string nothing = tree({"--spec", "twice N=64 (x: f32[row]) { y: f32 = add(x, x) }"});
  CHECK(contains(nothing, "twice reduces nothing along a row: there is no tree."));
  CHECK_FALSE(contains(nothing, "→"));
  CHECK(contains(tree({"--op", "sum", "-n", "0"}), "Rows have no elements"));
  CHECK(world.run({"inspect", "--op", "sum", "-n", "0", "--show", "svg", "--device", "sm_90"}).status == 2);
}

TEST_CASE("the tree says which launch adds what blocks left in the workspace: each pass has one") {
  const CommandWorld world;
  const auto tree = [&](const char* op) {
    return world.run({"inspect", "--op", op, "-n", "65536", "--fold", "leaf=8 lanes=32 segments=64", "--device", "sm_80", "--show", "tree",
                      "--schedule", "gpu threads=256 rows=1 blocks=8 split=workspace staging=reread vector=8 weights=late "
                      "memory=streaming launch=plain resident=1"}).output;
  };
  CHECK(contains(tree("rms_norm"), "the sums of 8 blocks, from the workspace in the second launch\n"));
  CHECK(contains(tree("layer_norm"), "from the workspace: of pass 1 in the second launch, of pass 2 in the third launch\n"));
}

TEST_CASE("the tree as a picture: folded where it is wide, with who holds what") {
  const CommandWorld world;
  for (const char* n : {"1", "100", "8192", "1000000"}) {
    CAPTURE(n);
    const auto result = world.run({"inspect", "--op", "rms_norm", "-n", n, "--show", "svg", "--device", "sm_90"});
    CHECK(result.status == 0);
    CHECK(markup_fault(result.output) == "");
    CHECK(result.output.size() < 40000);
  }
  const std::string svg = world.run({"inspect", "--op", "rms_norm", "-n", "8192", "--tokens", "128", "--show", "svg", "--device",
                                     "sm_90"}).output;
  CHECK(contains(svg, "lane 0: elements 0..7, 256..263: a chain of 16"));
  CHECK(contains(svg, "segments 8..15: elements 4096..8191 (warp 8 to warp 15)"));
}

TEST_CASE("every view is one JSON document that says what it shows") {
  const CommandWorld world;
  for (const char* view : {"plan", "tree", "svg", "why", "candidates", "source"}) {
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
