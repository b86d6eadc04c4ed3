#pragma once
#include <isofold/runtime.hpp>

#include "bench_result.hpp"
#include "operator_options.hpp"

namespace isofold::tools {

/// What the host pays for one operator: launches of one token back to back, and the first use with a cold
/// cache, a warm disk cache (both in a folder of their own, with a new Runtime) and warm memory.
HostCosts measure_host_costs(const Runtime& runtime, const Problem& problem);

}  // namespace isofold::tools
