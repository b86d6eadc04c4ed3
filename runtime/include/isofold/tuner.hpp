#pragma once
#include <isofold/export.hpp>
#include <isofold/runtime.hpp>
#include <isofold/tuning_table.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ISOFOLD_API isofold {

/// What tuning reports while it runs; `done` of `total` work items.
struct TuneProgress {
  std::string stage;  // "compile", "verify", "measure"
  std::size_t done = 0;
  std::size_t total = 0;
};

struct TuneOptions {
  std::vector<std::int64_t> tokens;  // each >= 1, ascending
  double seconds = 20;               // budget for the measurement; what was measured by then decides
  int max_candidates = 0;            // of the cost model's order per token count; 0: all
  bool any_fold = false;             // measure the natural folds too (price of invariance)
  /// Called from one thread at a time; returning false stops early with what is known.
  std::function<bool(const TuneProgress&)> progress = {};
};

/// One measured schedule.
struct Timing {
  Schedule schedule;
  Fold fold;
  double microseconds = 0;  // median of a graph-replayed launch over rotating inputs; on the CPU of a call
  double spread = 0;        // (75th - 25th percentile) / median
  int stage = 0;            // the last one it was measured in; only figures of one stage compare well
};

struct TokenResult {
  std::int64_t tokens = 0;
  std::vector<Timing> timings;  // of the operator's fold; the finalists first, fastest first
  Timing best_any_fold;         // with any_fold: the fastest of every fold (microseconds 0 otherwise)
  std::size_t not_raced = 0;    // schedules, of every fold, for which no time was left: the least likely ones
};

struct TuneResult {
  std::vector<TokenResult> tokens;         // those that were measured
  std::vector<std::int64_t> not_measured;  // those that were not: no time was left, or it was stopped
  TableRecord record;          // ready to be written to a table; without ranges when nothing was measured
  std::size_t candidates = 0;  // compiled
  std::size_t rejected = 0;    // failed the bit gate: a bug, reported with the schedule's text
  std::vector<std::string> rejected_schedules;
  std::vector<std::string> refused_schedules;  // left out, each with why the compiler or the device did not take it
  double compile_seconds = 0, verify_seconds = 0, measure_seconds = 0;
};

/// Measures every candidate schedule whose output equals the oracle's raw bytes on random and adversarial
/// rows, and picks the fastest per token count. The operator uses the result from then on. The candidates are
/// those of tensors aligned to 16 bytes; the fastest that needs no workspace and, where it is faster still, the fastest that does
/// are both chosen. Thread-safe, but
/// concurrent work on the device disturbs the measurement. A schedule that the compiler or the device does not take is left out, with
/// one warning for all such. Throws UsageError for options that are not as described; UsageError, or InternalError when that is a
/// defect, with the first reason when no schedule of the operator's fold is taken; InternalError when none has the oracle's bits.
TuneResult tune(Operator& op, const TuneOptions& options);

/// The ranges that measured results stand for: for each token count its fastest schedule, from the geometric
/// middle between it and the count before (`boundary_between`). A schedule that is within 0.5 % of the
/// fastest in the same stage is kept when the range before has it: fewer kernels for the same time.
std::vector<TableRange> table_ranges(const std::vector<TokenResult>& results);

}  // namespace isofold
