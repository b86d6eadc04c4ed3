#pragma once
#include <isofold/runtime.hpp>

#include "bench_result.hpp"
#include "operator_options.hpp"

namespace isofold::tools {

/// A result without token counts and times: what is asked and on what, versions, today's date.
BenchResult description_of(const Runtime& runtime, const Problem& problem);

}  // namespace isofold::tools
