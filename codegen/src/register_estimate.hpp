#pragma once
#include <isofold/codegen/plan.hpp>

namespace isofold {

/// Registers of a thread that the plan's kernel needs without spilling, roughly: what candidates and the cost model
/// reckon with. Measured on sm_90: see the comment in the source.
int estimated_registers(const Plan& plan);

/// Registers of a thread for the chains of its lanes: a chain for each segment of its warp and each sum of a pass.
int chain_registers(const Plan& plan);

}  // namespace isofold
