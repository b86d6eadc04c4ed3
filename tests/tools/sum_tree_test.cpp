#include "sum_tree.hpp"

#include <isofold/codegen/interpreter.hpp>
#include <isofold/codegen/row_reduction.hpp>

#include <doctest/doctest.h>

#include "row_pool.hpp"

using namespace isofold;
using namespace isofold::tools;

TEST_CASE("the tree of a fold adds as the oracle does") {
  Random random(1);
  for (const std::int64_t n : {1, 2, 7, 31, 100, 257, 1000})
    for (const Fold& fold : {Fold{1, 1, 1}, Fold{4, 32, 8}, Fold{8, 32, 4}, Fold{1, 4, 1}, Fold{16, 1, 32}, Fold{2, 64, 2}}) {
      CAPTURE(n);
      CAPTURE(text(fold));
      const SumTree tree = tree_of(fold, n);
      CHECK(tree.elements() == n);
      const Spec spec = row_reduction({.reduction = RowReduction::sum, .n = n, .dtype = DType::f32});
      std::vector<float> row;
      for (std::int64_t i = 0; i < n; ++i)
        row.push_back(static_cast<float>(static_cast<std::int32_t>(random.bits())) * (random.below(2) == 0 ? 1.0f : 0x1p-9f));
      float sum = 0;
      const ConstView input{row.data(), n};
      const View output{&sum, 1};
      interpret(spec, fold, 1, {&input, 1}, {&output, 1});
      CHECK(tree.sum(row) == sum);
    }
}

TEST_CASE("a fold is known again by its tree") {
  for (const Fold& fold : {Fold{1, 1, 1}, Fold{4, 32, 8}, Fold{8, 32, 4}, Fold{1, 32, 2}}) {
    const auto found = fold_of(tree_of(fold, 1000));
    REQUIRE(found);
    CHECK(tree_of(*found, 1000).digest() == tree_of(fold, 1000).digest());
  }
  CHECK(fold_of(tree_of({8, 32, 16}, 8192)) == Fold{8, 32, 16});
  SumTree other;
  const int a = other.add_element(0), b = other.add_element(1), c = other.add_element(2);
  const int bc = other.add_sum({c, b});
  other.add_sum({bc, a});
  CHECK_FALSE(fold_of(other));
  CHECK(other.chain(other.root()) == std::vector<std::int64_t>{2, 1, 0});
}

TEST_CASE("trees are equal whatever the order of operands, and different for other elements") {
  const auto made = [](std::vector<std::int64_t> order) {
    SumTree tree;
    std::vector<int> at;
    for (const std::int64_t element : order) at.push_back(tree.add_element(element));
    const int first = tree.add_sum({at[0], at[1]}), second = tree.add_sum({at[2], at[3]});
    tree.add_sum({first, second});
    return tree;
  };
  CHECK(made({0, 1, 2, 3}).digest() == made({3, 2, 1, 0}).digest());
  CHECK(made({0, 1, 2, 3}).digest() != made({0, 2, 1, 3}).digest());
  CHECK(made({0, 1, 2, 3}).shapes().back() == made({0, 2, 1, 3}).shapes().back());
  CHECK(made({0, 1, 2, 3}).depth() == 2);
  CHECK(made({0, 2, 1, 3}).elements_of(4) == std::vector<std::int64_t>{0, 2});
}

TEST_CASE("numbers in few words") {
  CHECK(listed({5}) == "5");
  CHECK(listed({0, 1, 2, 3}) == "0..3");
  CHECK(listed({0, 1, 4, 5, 8, 9, 12, 13}) == "0..1, 4..5, 8..9, 12..13");
  CHECK(listed({0, 2, 4, 6, 8}) == "0, 2, 4, ... 8");
}
