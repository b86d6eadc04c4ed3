#include <isofold/tuner.hpp>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>

#include "operator_impl.hpp"
#include "tuner_search.hpp"

namespace isofold {
namespace {

/// A schedule that the range before uses is kept when it is at most this much slower than the fastest.
constexpr double same_speed = 1.005;

void check(const TuneOptions& options) {
  if (options.tokens.empty()) throw UsageError("tune: no token counts were given");
  std::int64_t previous = 0;
  for (const std::int64_t tokens : options.tokens) {
    if (tokens <= previous)
      throw UsageError(
          fmt::format("tune: token counts must ascend from at least 1, {} follows {}", tokens, previous));
    previous = tokens;
  }
  if (!(options.seconds > 0) || !std::isfinite(options.seconds))
    throw UsageError(fmt::format("tune: seconds is {}, it must be a finite number above 0", options.seconds));
  if (options.max_candidates < 0)
    throw UsageError(
        fmt::format("tune: max_candidates is {}, it must be 0 (all) or more", options.max_candidates));
}

std::string environment_of(RuntimeImpl& runtime) {
  return fmt::format("{}, {:%Y-%m-%d}", runtime.environment(), fmt::gmtime(std::time(nullptr)));
}

/// The fastest, or what the range before has when that is as fast.
const Timing& chosen(const std::vector<Timing>& timings, const Schedule* before) {
  const Timing& fastest = timings.front();
  if (before == nullptr) return fastest;
  const auto kept = std::find_if(timings.begin(), timings.end(), [&](const Timing& timing) {
    return timing.schedule == *before && timing.stage == fastest.stage && timing.microseconds <= same_speed * fastest.microseconds;
  });
  return kept == timings.end() ? fastest : *kept;
}

/// Tells each range the largest count that chose it.
void note_last_counts(std::vector<TableRange>& ranges, const std::vector<TokenResult>& results) {
  for (const TokenResult& result : results)
    for (TableRange& range : ranges)
      if (range.first_tokens <= result.tokens &&
          (&range == &ranges.back() || result.tokens < (&range)[1].first_tokens))
        range.last_measured_tokens = result.tokens;
}

}  // namespace

std::vector<TableRange> table_ranges(const std::vector<TokenResult>& results) {
  std::vector<TableRange> ranges;
  std::int64_t previous_tokens = 0;
  for (const TokenResult& result : results) {
    std::vector<Timing> plain = result.timings;
    std::erase_if(plain, [](const Timing& timing) { return needs_workspace(timing.schedule); });
    if (plain.empty()) continue;
    const TableRange* const before = ranges.empty() ? nullptr : &ranges.back();
    const Timing& choice = chosen(plain, before ? &before->schedule : nullptr);
    TableRange range{.first_tokens = before ? boundary_between(previous_tokens, result.tokens) : 1,
                     .schedule = choice.schedule,
                     .microseconds = choice.microseconds,
                     .measured_tokens = result.tokens,
                     .any_fold_microseconds = result.best_any_fold.microseconds};
    const Timing& fastest = chosen(result.timings, before && before->with_workspace ? &before->with_workspace->schedule : nullptr);
    if (needs_workspace(fastest.schedule)) range.with_workspace = {fastest.schedule, fastest.microseconds};
    if (before == nullptr || !before->same_launches(range)) {
      for (const Timing& timing : plain)
        if (timing.stage == choice.stage && timing.schedule != choice.schedule && range.runners_up.size() < most_runners_up)
          range.runners_up.push_back({timing.schedule, timing.microseconds});
      ranges.push_back(std::move(range));
    }
    previous_tokens = result.tokens;
  }
  return ranges;
}

TuneResult tune(Operator& op, const TuneOptions& options) {
  check(options);
  const OperatorImpl& impl = *op.impl();
  TunerSearch search(impl, options);
  search.compile();
  search.verify();
  search.note_refusals();
  search.measure();
  TuneResult result = search.take();
  result.record = {.spec = text(op.spec()),
                   .fold = text(op.fold()),
                   .device = text(impl.runtime().device()),
                   .environment = environment_of(impl.runtime()),
                   .ranges = table_ranges(result.tokens),
                   .origin = "tuned in this process"};
  note_last_counts(result.record.ranges, result.tokens);
  if (!result.record.ranges.empty())
    impl.use(launch_ranges(result.record, op.spec(), op.fold(), impl.runtime().device(), result.record.origin));
  return result;
}

}  // namespace isofold
