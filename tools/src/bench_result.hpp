#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "console.hpp"

namespace isofold::tools {

/// One implementation over all token counts. Times in microseconds, one for each token count; negative where
/// it was not measured.
struct BenchLine {
  std::string key;   // "isofold", "any_fold", "python", "native", "compile", "triton", "copy", "empty"
  std::string name;  // for people
  std::vector<double>
      kernel;                // on a GPU: of one launch in a replayed graph; on the CPU: of a call among many
  std::vector<double> call;  // of a whole call: from the call until its result is there
  std::vector<std::string> detail;  // what ran, for example the schedule; may be empty
  std::string missing;              // why it could not run, or not at every token count; empty when it did
};

/// Is there a time at any token count?
bool was_measured(const BenchLine& line);

/// What the host pays, in microseconds; negative where it was not measured.
struct HostCosts {
  double launch = -1;        // of a prepared operator, back to back
  double empty_launch = -1;  // of an empty kernel through the driver, back to back
  double first_use_cold = -1, first_use_disk = -1,
         first_use_memory = -1;  // prepare() with nothing, the disk cache, all there
};

/// One run of `isofold bench` over one operator; what `isofold chart` draws.
struct BenchResult {
  std::string title, spec, fold, bits_id;
  std::string device, device_name, environment, date;
  bool gpu = false;
  std::int64_t bytes_per_token = 0;  // that a launch must move at least, without the columns
  std::vector<std::int64_t> tokens;
  std::vector<BenchLine> lines;
  HostCosts host;
};

Json to_json(const BenchResult& result);
/// Throws UsageError for anything that `to_json` does not make.
BenchResult parse_bench_result(const Json& json);

const BenchLine* find_line(const BenchResult& result, std::string_view key);

}  // namespace isofold::tools
