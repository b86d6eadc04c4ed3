#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "sum_tree.hpp"

namespace isofold::tools {

/// For each pair of elements: of how many elements is the smallest subtree that has both? Answers many at once, since a call
/// over many rows answers a question with each.
using SubtreeSizes = std::function<std::vector<std::int64_t>(std::span<const std::pair<std::int64_t, std::int64_t>>)>;

/// The answers are those of no tree; says why in words.
class NoTree : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The tree of n elements that gives these answers, asked in as few rounds and questions as one fixed order of asking needs:
/// about n times the depth of the nesting, n * n / 2 at worst.
///
/// The element asked for against all others shows its way to the root: the others come in groups, one for each sum on that way,
/// and each group is a subtree (or several, where one instruction adds more than two) that is asked in the same manner. That is
/// the method of P. Xie et al., "Revealing Floating-Point Accumulation Orders in Software/Hardware Implementations",
/// arXiv:2411.00442, with chance choosing the elements. Throws NoTree.
SumTree find_tree(std::int64_t n, const SubtreeSizes& ask);

}  // namespace isofold::tools
