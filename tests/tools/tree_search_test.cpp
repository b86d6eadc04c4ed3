#include "tree_search.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "row_pool.hpp"
#include "support/error_text.hpp"

using namespace isofold;
using namespace isofold::tools;

namespace {

/// The answers of a known tree.
class Known {
 public:
  explicit Known(const SumTree& tree) : tree_(tree), parents_(tree.nodes().size(), -1), places_(tree.nodes().size()) {
    for (std::size_t i = 0; i < tree.nodes().size(); ++i) {
      for (const int child : tree.nodes()[i].children) parents_[static_cast<std::size_t>(child)] = static_cast<int>(i);
      if (tree.nodes()[i].children.empty()) places_[static_cast<std::size_t>(tree.nodes()[i].first)] = static_cast<int>(i);
    }
  }
  std::vector<std::int64_t> operator()(std::span<const std::pair<std::int64_t, std::int64_t>> pairs) {
    std::vector<std::int64_t> sizes;
    for (const auto& [a, b] : pairs) {
      // Parents come after their children, so the lower index climbs.
      int i = places_[static_cast<std::size_t>(a)], j = places_[static_cast<std::size_t>(b)];
      while (i != j) {
        int& lower = i < j ? i : j;
        lower = parents_[static_cast<std::size_t>(lower)];
      }
      sizes.push_back(tree_.node(i).size);
    }
    asked += pairs.size();
    return sizes;
  }
  std::size_t asked = 0;

 private:
  const SumTree& tree_;
  std::vector<int> parents_, places_;
};

/// Joins random subtrees until one is left, up to `most` at once.
SumTree random_tree(std::int64_t n, std::size_t most, Random& random) {
  SumTree tree;
  std::vector<int> open;
  for (std::int64_t element = 0; element < n; ++element) open.push_back(tree.add_element(element));
  while (open.size() > 1) {
    const std::size_t count = std::min<std::size_t>(open.size(), 2 + random.below(most - 1));
    std::vector<int> children;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t at = random.below(open.size());
      children.push_back(open[at]);
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
    }
    open.push_back(tree.add_sum(children));
  }
  return tree;
}

}  // namespace

TEST_CASE("every tree is found again: of two operands or many") {
  Random random(7);
  for (int round = 0; round < 300; ++round) {
    const auto n = static_cast<std::int64_t>(1 + random.below(60));
    const SumTree tree = random_tree(n, round % 2 == 0 ? 2 : 5, random);
    Known known(tree);
    CHECK(find_tree(n, [&](auto pairs) { return known(pairs); }).digest() == tree.digest());
  }
}

TEST_CASE("folds and chains take questions in proportion to their depth, not to the square of the elements") {
  for (const Fold& fold : {Fold{8, 32, 16}, Fold{1, 1, 1}, Fold{1, 1024, 4}}) {
    const SumTree tree = tree_of(fold, 4096);
    Known known(tree);
    CHECK(find_tree(4096, [&](auto pairs) { return known(pairs); }).digest() == tree.digest());
    CHECK(known.asked < 4096 * 40);
  }
}

TEST_CASE("answers of no tree are refused") {
  const auto refused = [](std::int64_t answer) {
    try {
      find_tree(8, [&](auto pairs) { return std::vector<std::int64_t>(pairs.size(), answer); });
    } catch (const NoTree& why) {
      return std::string(why.what());
    }
    return std::string();
  };
  CHECK(refused(8).empty());  // all at once
  CHECK(isofold::testing::contains(refused(2), "no tree has that"));
  CHECK(isofold::testing::contains(refused(7), "no tree has that"));
}
