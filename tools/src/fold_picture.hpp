#pragma once
#include <isofold/codegen/plan.hpp>

#include <optional>
#include <string>
#include <vector>

#include "console.hpp"
#include "tree_drawing.hpp"

namespace isofold::tools {

/// One level of the tree: what is computed, and where in the machine a schedule computes it.
struct TreeStep {
  std::string name;   // "leaf", "lane", "lane tree", "segment tree", ...
  std::string what;   // the rule
  std::string where;  // empty without a schedule
};

/// The levels of a fold over rows of spec.n elements, from elements to what the row is reduced to; with a plan, who does
/// what. None where there is no tree.
std::vector<TreeStep> tree_steps(const Spec& spec, const Fold& fold, const std::optional<Plan>& plan);

/// A picture of the same in text: the row cut into segments and leaves, both trees, folded where they are
/// wide.
std::string fold_picture(const Spec& spec, const Fold& fold, const std::optional<Plan>& plan);

/// The tree of one row as it is drawn: the way of the first element whole, what it meets folded; with a plan, who holds it.
/// Rows have elements, and the Spec reduces them.
Branch fold_branch(const Spec& spec, const Fold& fold, const std::optional<Plan>& plan);

/// What the tree makes of a row: "sum", "maximum, sum"; empty when the Spec reduces nothing.
std::string reduction_words(const Spec& spec);

/// Why there is no tree to draw: no reduction, or no elements; empty when there is one.
std::string without_tree(const Spec& spec);

/// A binary tree drawn sideways, one line for each label in order, adjacent pairs first; lines in the middle
/// are left out when there are more than `most`. The number of labels is a power of two; `result` is what the root is called.
std::vector<std::string> sideways_tree(const std::vector<std::string>& labels, std::size_t most, const std::string& result);

}  // namespace isofold::tools
