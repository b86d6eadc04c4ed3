#include "tuned_times.hpp"

#include <isofold/codegen/cost_model.hpp>

#include "baselines.hpp"
#include "description.hpp"
#include "room.hpp"
#include "runtime_impl.hpp"
#include "table_range.hpp"

namespace isofold::tools {
namespace {

/// What is known of one token count.
struct Measured {
  std::int64_t tokens;
  std::string schedule;
  double microseconds, any_fold_microseconds;  // 0: not measured
};

Measured measured_of(const TokenResult& result, const TableRecord& record) {
  const Timing& timing = chosen(result, record);
  return {result.tokens, text(timing.schedule), timing.microseconds, result.best_any_fold.microseconds};
}

void add_lines(BenchResult& times, const Runtime& runtime, const Problem& problem, const std::vector<Measured>& all) {
  BenchLine own{"isofold", "Isofold", {}, {}, {}, {}}, any{"any_fold", "Fold free per token count", {}, {}, {}, {}},
      copy{"copy", "Copy of as many bytes", {}, {}, {}, {}};
  constexpr TimingEffort effort{
      .replay_microseconds = 500, .min_samples = 5, .max_samples = 20, .enough_spread = 0.01, .seconds = 0.3};
  for (const Measured& one : all) {
    times.tokens.push_back(one.tokens);
    own.kernel.push_back(one.microseconds);
    own.detail.push_back(one.schedule);
    any.kernel.push_back(one.any_fold_microseconds > 0 ? one.any_fold_microseconds : -1);
    copy.kernel.push_back(measure_copy(*runtime.impl(), bytes_moved(problem.spec, one.tokens), effort).microseconds);
  }
  times.lines = {own};
  if (was_measured(any)) times.lines.push_back(any);
  times.lines.push_back(copy);
}

}  // namespace

const Timing& chosen(const TokenResult& result, const TableRecord& record) {
  const TableRange& range = range_of(record, result.tokens);
  for (const Timing& timing : result.timings)
    if (timing.schedule == range.schedule) return timing;
  throw InternalError("the record chooses a schedule that was not measured: " + text(range.schedule));
}

BenchResult tuned_times(const Runtime& runtime, const Problem& problem, const TuneResult& result) {
  std::vector<Measured> all;
  for (const TokenResult& one : result.tokens) all.push_back(measured_of(one, result.record));
  BenchResult times = description_of(runtime, problem);
  add_lines(times, runtime, problem, all);
  return times;
}

std::optional<RecordedTimes> recorded_times(const Runtime& runtime, const Problem& problem) {
  if (runtime.impl()->bundles().choice(problem.spec, problem.fold, runtime.device())) return std::nullopt;
  const TableRecord* record = runtime.impl()->table().find(problem.spec, problem.fold, runtime.device());
  if (record == nullptr) return std::nullopt;
  const std::int64_t most = most_rows(runtime, problem.spec);
  std::vector<Measured> all;
  for (const TableRange& range : record->ranges) {
    // What merging has cut in two was measured before its second part.
    const bool here = range.measured_tokens >= range.first_tokens && (all.empty() || range.measured_tokens > all.back().tokens);
    if (here && range.measured_tokens <= most && range.microseconds > 0)
      all.push_back({range.measured_tokens, text(range.schedule), range.microseconds, range.any_fold_microseconds});
  }
  if (all.empty()) return std::nullopt;
  RecordedTimes times{description_of(runtime, problem), record->origin, record->environment};
  add_lines(times.result, runtime, problem, all);
  return times;
}

}  // namespace isofold::tools
