#pragma once
#include <isofold/codegen/plan.hpp>
#include <isofold/export.hpp>

#include <cstdint>
#include <vector>

namespace ISOFOLD_API isofold {

/// Estimated microseconds of one launch over `tokens` rows: a model that orders candidates, not a measurement.
double estimated_microseconds(const Plan& plan, std::int64_t tokens);

/// Bytes that one launch must move at least: every input read once, every output written once.
std::int64_t bytes_moved(const Spec& spec, std::int64_t tokens);

/// Indices of `plans`, cheapest first; ties keep their order.
std::vector<std::size_t> by_cost(const std::vector<Plan>& plans, std::int64_t tokens);

}  // namespace isofold
