#include "tree_drawing.hpp"

#include <doctest/doctest.h>

#include "markup.hpp"
#include "support/error_text.hpp"
#include "tree_document.hpp"

using namespace isofold;
using namespace isofold::tools;
using isofold::testing::contains;

TEST_CASE("a small tree is drawn whole, with its sums where they are") {
  const auto lines = branch_lines(branch_of(tree_of({1, 2, 2}, 8)), "sum");
  REQUIRE(lines.size() == 3);
  CHECK(lines[0] == "elements 0, 2: a chain of 2                   ─┐");
  CHECK(lines[1] == "elements 1, 3: a chain of 2                   ─┴──┐");
  CHECK(lines[2] == "elements 4..7: 4 of them, like what they meet ────┴─→ sum");
}

TEST_CASE("one element, one chain, many operands at once") {
  CHECK(branch_lines(branch_of(tree_of({1, 1, 1}, 1)), "sum") == std::vector<std::string>{"element 0 → sum"});
  CHECK(branch_lines(branch_of(tree_of({1, 1, 1}, 9)), "total") ==
        std::vector<std::string>{"elements 0..8: a chain of 9 → total"});
  SumTree wide;
  std::vector<int> all;
  for (std::int64_t element = 0; element < 16; ++element) all.push_back(wide.add_element(element));
  wide.add_sum(all);
  const auto lines = branch_lines(branch_of(wide), "sum");
  REQUIRE(lines.size() == 4);
  CHECK(contains(lines[1], "─┤"));
  CHECK(contains(lines[3], "13 more of this sum"));
}

TEST_CASE("a wide tree is folded into a few lines, and its picture is whole markup without addresses") {
  const SumTree tree = tree_of({8, 32, 64}, 16384);
  const Branch branch = branch_of(tree);
  CHECK(branch_lines(branch, "sum").size() == 12);
  const std::string svg = trees_svg("a <sum> & more", {{"the fold", branch, "sum"}});
  CHECK(isofold::testing::markup_fault(svg) == "");
  CHECK(contains(svg, "a &lt;sum&gt; &amp; more"));
  CHECK(contains(svg, "prefers-color-scheme:dark"));
  CHECK(svg.find("http", svg.find("http") + 1) == svg.npos);
  CHECK(isofold::testing::markup_fault("<div>" + trees_html({{"the fold", branch, "sum"}}) + "</div>") == "");
}
