#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "callable.hpp"
#include "tree_search.hpp"

namespace isofold::tools {

/// What a callable does with rows of n elements in calls over `tokens` rows.
struct ProbedTree {
  SumTree tree;
  std::int64_t calls = 0;
  /// Rows of random numbers, one at each place of a call, whose result has the bits that adding in this order in binary32 gives;
  /// -1 when that cannot be said: results that are scaled, or not of binary32.
  std::int64_t confirmed = -1;
};

/// Finds the order in which a callable adds the elements of a row, with masks: M in one place, -M in another, a small number u
/// in all others. M is so large that M + u is M; so whatever meets M or -M before they meet each other is lost, and the result
/// counts the elements outside of the smallest subtree that has both. Every row of a call asks for another pair.
/// The first result of each row counts, and has to be a sum, or a multiple of one. Throws NoTree, saying why, when it is not:
/// a result that is not a count, accumulation wider than M is large, an order that changes from call to call or row to row.
ProbedTree probe_tree(Callable& callable, std::int64_t n, std::int64_t tokens);

/// How rows of random numbers fare among others.
struct RowBits {
  std::int64_t rows = 0;       // compared
  std::int64_t differing = 0;  // whose results have other bits than the same row alone, in a call of its own
};

/// A batch-invariant callable has none that differ. Any callable can be asked.
RowBits compare_rows(Callable& callable, std::int64_t n, std::int64_t tokens);

}  // namespace isofold::tools
