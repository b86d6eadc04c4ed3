#pragma once
#include <isofold/codegen/plan.hpp>

namespace isofold {

/// Registers of a thread that the plan's kernel needs without spilling, roughly: what candidates and the cost model
/// reckon with. Measured on sm_90: see the comment in the source.
int estimated_registers(const Plan& plan);

}  // namespace isofold
