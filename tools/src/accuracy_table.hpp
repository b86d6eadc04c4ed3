#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "console.hpp"
#include "result_error.hpp"

namespace isofold::tools {

/// The errors of one output over one kind of rows.
struct AccuracyResult {
  std::string op;  // name of the named operator, else of the Spec
  std::int64_t n = 0, rows = 0;
  DType dtype = DType::f32;  // of the first input
  std::string output, data;
  ResultError ours;
  std::optional<ResultError> pytorch;
  std::string missing;  // why PyTorch has no result; empty when it has
};

/// A result that is infinitely far away fails whatever PyTorch does.
bool passed(const AccuracyResult& result);

/// One line for each result; they are of one operator.
void print_results(const Console& console, const std::vector<AccuracyResult>& results);

/// One line for each operator, output and kind of rows, a column for each dtype.
std::string markdown_table(const std::vector<AccuracyResult>& results);

Json to_json(const AccuracyResult& result);

}  // namespace isofold::tools
