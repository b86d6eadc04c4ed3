#pragma once
#include <isofold/codegen/plan.hpp>

#include <optional>
#include <string>
#include <vector>

#include "console.hpp"

namespace isofold::tools {

/// One level of the tree: what is computed, and where in the machine a schedule computes it.
struct TreeStep {
  std::string name;   // "leaf", "lane", "lane tree", "segment tree", ...
  std::string what;   // the rule
  std::string where;  // empty without a schedule
};

/// The levels of a fold over rows of spec.n elements, from elements to the row's sum; with a plan, who does
/// what.
std::vector<TreeStep> tree_steps(const Spec& spec, const Fold& fold, const std::optional<Plan>& plan);

/// A picture of the same in text: the row cut into segments and leaves, both trees, folded where they are
/// wide.
std::string fold_picture(const Spec& spec, const Fold& fold, const std::optional<Plan>& plan);

/// A binary tree drawn sideways, one line for each label in order, adjacent pairs first; lines in the middle
/// are left out when there are more than `most`. The number of labels is a power of two.
std::vector<std::string> sideways_tree(const std::vector<std::string>& labels, std::size_t most);

}  // namespace isofold::tools
