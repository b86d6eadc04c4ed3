#pragma once
#include <isofold/codegen/plan.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace isofold::testing {

/// A question, its fold, and how its tensors lie: what every schedule is tried on.
struct PlanSet {
  std::string name;
  Spec spec;
  Fold fold;
  std::int64_t offset = 0;          // of every tensor, in elements
  std::int64_t stride_padding = 0;  // between rows, in elements
  std::vector<std::int32_t> integers = {};  // of inputs of integers; none: around 0 to N at random
  std::vector<float> numbers = {};  // of f32 inputs of one number per token or in all, in some of the calls; none: normal, some infinite
  bool one_architecture = false;    // compiled for sm_80, sm_90 or sm_100 in turns: there are many like it
};

/// Row lengths from 1 to 65,536, dtypes, variants, alignments, folds and specs that together reach every path
/// of the emitters.
std::vector<PlanSet> plan_sets();

/// The same with the sum itself as one more output: rounded to 16 bits, y hides most differences between two trees.
PlanSet exposed(PlanSet set);

/// Fewer and larger sets, for compilers that take long.
std::vector<PlanSet> few_plan_sets();

/// Every candidate of a set for an architecture ("sm_90"), one of each generated text.
std::vector<Plan> distinct_candidates(const PlanSet& set, std::string_view arch);

}  // namespace isofold::testing
