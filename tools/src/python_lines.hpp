#pragma once
#include <isofold/codegen/spec.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "bench_result.hpp"

namespace isofold::tools {

/// The lines of eager PyTorch and Triton, measured by the embedded python_baselines.py with the first python3
/// on PATH. Where they cannot run, the lines say why.
std::vector<BenchLine> measure_python_lines(const Spec& spec, const std::vector<std::int64_t>& tokens,
                                            bool gpu);

/// Both lines with this reason.
std::vector<BenchLine> missing_python_lines(const std::string& why);

}  // namespace isofold::tools
