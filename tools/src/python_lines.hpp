#pragma once
#include <isofold/codegen/spec.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "bench_result.hpp"

namespace isofold::tools {

/// What Python users have of an operator.
struct PythonLines {
  std::vector<BenchLine> lines;
  std::string versions;  // "PyTorch 2.11.0, Triton 3.6.0"; empty when nothing ran
};

/// The lines of PyTorch and Triton for `spec`, measured by the embedded baselines.py with the first python3
/// on PATH. Where they cannot run, the lines say why.
PythonLines measure_python_lines(const Spec& spec, const std::vector<std::int64_t>& tokens, bool gpu);

/// The same lines, all with this reason.
PythonLines missing_python_lines(const Spec& spec, const std::string& why);

}  // namespace isofold::tools
