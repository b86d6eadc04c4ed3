#pragma once
#include <isofold/runtime.hpp>

#include <string>
#include <vector>

#include "bench_result.hpp"
#include "numbers.hpp"
#include "operator_options.hpp"

namespace isofold::tools {

/// What `bench` and `chart` measure. Every line is measured in the same process, GPU kernels of one token
/// count in turns.
struct MeasureOptions {
  OperatorOptions op;
  std::string device, tokens = default_tokens;
  double seconds = 20;
  std::string report;  // of bench: the page to write; empty: none
  bool no_folds = false, no_python = false, no_host = false;
};

/// Measures all lines that can run on the device; those that cannot say why. Ctrl-C ends it early: lines that
/// were not reached are missing. Throws UsageError when the operator itself cannot run.
BenchResult measure(const Console& console, const MeasureOptions& options);

}  // namespace isofold::tools
