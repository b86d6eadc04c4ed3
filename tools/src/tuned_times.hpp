#pragma once
#include <isofold/runtime.hpp>
#include <isofold/tuner.hpp>

#include <optional>

#include "bench_result.hpp"
#include "operator_options.hpp"

namespace isofold::tools {

/// What was measured at a token count of what the record says of it.
const Timing& chosen(const TokenResult& result, const TableRecord& record);

/// What a tuner measured as lines of a chart, beside a copy that is measured now.
BenchResult tuned_times(const Runtime& runtime, const Problem& problem, const TuneResult& result);

/// The same of a record of the tuning table.
struct RecordedTimes {
  BenchResult result;
  std::string origin;       // "<file>:<line>"
  std::string environment;  // that it was measured in
};

/// Of the record that chooses what the operator launches; nothing where there is none, or none with times. Token counts for which
/// there is no room are left out.
std::optional<RecordedTimes> recorded_times(const Runtime& runtime, const Problem& problem);

}  // namespace isofold::tools
