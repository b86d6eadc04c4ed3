#include "tuner_search.hpp"

#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/cost_model.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <mutex>

#include "bit_gate.hpp"
#include "cubin_usage.hpp"
#include "parallel.hpp"

namespace isofold {
namespace {

using Clock = std::chrono::steady_clock;

/// Candidates of each further fold that race at a token count, in the cost model's order.
constexpr std::size_t candidates_of_other_folds = 16;
/// Measured together in the first stage.
constexpr std::size_t heat = 16;

// Successive halving: all, then those near the best, then the finalists with more and longer replays.
constexpr TimingEffort first_effort{
    .replay_microseconds = 200, .min_samples = 3, .max_samples = 3, .enough_spread = 0, .seconds = 0.05};
constexpr TimingEffort second_effort{
    .replay_microseconds = 500, .min_samples = 5, .max_samples = 10, .enough_spread = 0.01, .seconds = 0.1};
constexpr TimingEffort last_effort{.replay_microseconds = 1000,
                                   .min_samples = 10,
                                   .max_samples = 60,
                                   .enough_spread = 0.004,
                                   .seconds = 0.4};
constexpr double second_slack = 1.15, last_slack = 1.04;
constexpr std::size_t second_own = 12, second_others = 12, last_own = 4, last_others = 4;
/// A CPU's launches take long enough to be timed one by one: fewer samples will do.
constexpr int cpu_samples = 3;
/// Part of a token count's time after which the first stage takes no further heat.
constexpr double first_stage_share = 0.6;

}  // namespace

TunerSearch::TunerSearch(const OperatorImpl& op, const TuneOptions& options)
    : op_(op), runtime_(op.runtime()), options_(options), shown_(with_reductions_shown(op.spec())) {
  std::vector<Fold> folds{op.fold()};
  if (options.any_fold)
    for (const Fold& fold : fold_family(op.spec()))
      if (fold != op.fold()) folds.push_back(fold);
  for (const Fold& fold : folds) {
    Family& family = families_.emplace_back();
    family.fold = fold;
    std::vector<Plan> plans = candidates(op.spec(), fold, runtime_.device());
    // Only what some token count will ask for is compiled.
    std::size_t most =
        options.max_candidates > 0 ? static_cast<std::size_t>(options.max_candidates) : plans.size();
    if (families_.size() > 1) most = std::min(most, candidates_of_other_folds);
    std::vector<bool> wanted(plans.size(), false);
    for (const std::int64_t tokens : options.tokens) {
      const std::vector<std::size_t> order = by_cost(plans, tokens);
      for (std::size_t i = 0; i < std::min(most, order.size()); ++i) wanted[order[i]] = true;
      if (families_.size() > 1) continue;
      for (const Plan& plan : used(tokens)) {  // which may be no candidate any more
        const auto at = static_cast<std::size_t>(std::find(plans.begin(), plans.end(), plan) - plans.begin());
        if (at == plans.size()) {
          plans.push_back(plan);
          wanted.push_back(false);
        }
        wanted[at] = true;
      }
    }
    for (std::size_t i = 0; i < plans.size(); ++i) {
      if (!wanted[i]) continue;
      Candidate& candidate = family.candidates.emplace_back(Candidate{.plan = plans[i]});
      const PlanResult shown = make_plan(shown_, fold, plans[i].schedule(), runtime_.device());
      if (shown) candidate.shown = shown.value();
    }
  }
}

std::vector<Plan> TunerSearch::used(std::int64_t tokens) const {
  std::vector<Plan> out;
  const LaunchTable& table = op_.table();
  for (const std::size_t choice : table.choices_of({&tokens, 1})) out.push_back(table.plan(choice, alignment_classes - 1));
  return out;
}

bool TunerSearch::report(const char* stage, std::size_t done, std::size_t total) {
  if (options_.progress && !options_.progress({stage, done, total})) stopped_ = true;
  return !stopped_;
}

void TunerSearch::compile() {
  const Clock::time_point start = Clock::now();
  std::vector<Candidate*> all;
  for (Family& family : families_)
    for (Candidate& candidate : family.candidates) all.push_back(&candidate);
  std::mutex mutex;
  std::size_t done = 0;
  report("compile", done, all.size());
  for_each_parallel(all.size(), [&](std::size_t i) {
    {
      const std::lock_guard guard(mutex);
      if (stopped_) return;
    }
    Candidate& candidate = *all[i];
    attempt(candidate, [&] {
      candidate.image = runtime_.store().image(candidate.plan);
      if (candidate.shown) candidate.shown_image = runtime_.store().image(*candidate.shown);
    });
    if (candidate.image) note_local_memory(candidate);
    const std::lock_guard guard(mutex);
    if (!candidate.refusal) ++result_.candidates;
    report("compile", ++done, all.size());
  });
  result_.compile_seconds = seconds_since(start);
}

void TunerSearch::attempt(Candidate& candidate, const std::function<void()>& work) {
  try {
    work();
  } catch (const InternalError& error) {
    candidate.refusal = {.why = error.what(), .defect = true};
  } catch (const Error& error) {
    candidate.refusal = {.why = error.what()};
  }
}

void TunerSearch::note_local_memory(const Candidate& candidate) {
  Log& log = runtime_.log();
  if (!runtime_.is_gpu() || !log.enabled(LogLevel::debug)) return;
  try {
    for (const std::string& entry : candidate.image->entries)
      if (const int bytes = usage_of(candidate.image->code, entry).stack_bytes; bytes > 0)
        log.debug(fmt::format("{} keeps {} bytes of each thread in local memory: {}", entry, bytes, text(candidate.plan.schedule())));
  } catch (const InternalError& error) {  // nothing but this message needs it
    log.debug(error.what());
  }
}

void TunerSearch::verify() {
  const Clock::time_point start = Clock::now();
  runtime_.store().ensure_probed(runtime_.device());
  std::size_t done = 0;
  for (Family& family : families_) {
    if (stopped_) break;
    BitGate gate(runtime_.store().target(), op_.spec(), family.fold);
    BitGate shown_gate(runtime_.store().target(), shown_, family.fold);
    for (Candidate& candidate : family.candidates) {
      if (!candidate.image || candidate.refusal) continue;
      if (stopped_ || !report("verify", done, result_.candidates)) break;
      ++done;
      std::shared_ptr<const Kernel> kernel;
      std::string difference;
      attempt(candidate, [&] {
        kernel = runtime_.store().load(candidate.plan, candidate.image);
        difference = gate.check(*kernel);
        if (difference.empty() && candidate.shown_image)
          difference = shown_gate.check(*runtime_.store().load(*candidate.shown, candidate.shown_image));
      });
      if (candidate.refusal) continue;
      if (difference.empty()) {
        candidate.kernel = std::move(kernel);
        continue;
      }
      ++result_.rejected;
      result_.rejected_schedules.push_back(text(family.fold) + " " + difference);
      runtime_.log().error(
          "a schedule gives other bits than the oracle and is not used (this is a bug, please report it): " +
          result_.rejected_schedules.back());
    }
  }
  report("verify", done, result_.candidates);
  result_.verify_seconds = seconds_since(start);
}

void TunerSearch::note_refusals() {
  std::size_t all = 0;
  for (const Family& family : families_)
    for (const Candidate& candidate : family.candidates) {
      ++all;
      if (!candidate.refusal) continue;
      result_.refused_schedules.push_back(
          fmt::format("{} {}: {}", text(family.fold), text(candidate.plan.schedule()), candidate.refusal->why));
      runtime_.log().debug("a schedule cannot be used: " + result_.refused_schedules.back());
    }
  const std::vector<Candidate>& own = families_.front().candidates;
  if (std::all_of(own.begin(), own.end(), [](const Candidate& one) { return one.refusal.has_value(); })) {
    const std::string what = fmt::format("none of {} schedules can be used here; the first: {}", own.size(), result_.refused_schedules.front());
    if (own.front().refusal->defect) throw InternalError(what);
    throw UsageError(what);
  }
  if (!stopped_ && std::none_of(own.begin(), own.end(), [](const Candidate& one) { return one.kernel != nullptr; }))
    throw InternalError("no schedule has the oracle's bits; the first: " + result_.rejected_schedules.front());
  if (!result_.refused_schedules.empty())
    runtime_.log().warning(fmt::format("{} of {} schedules cannot be used and are left out; the first: {}",
                                       result_.refused_schedules.size(), all, result_.refused_schedules.front()));
}

std::vector<TunerSearch::Entry> TunerSearch::entries(std::int64_t tokens) const {
  std::vector<Entry> out;
  for (std::size_t family = 0; family < families_.size(); ++family) {
    std::vector<const Candidate*> usable;
    std::vector<Plan> plans;
    for (const Candidate& candidate : families_[family].candidates) {
      if (!candidate.kernel) continue;
      usable.push_back(&candidate);
      plans.push_back(candidate.plan);
    }
    std::vector<std::size_t> order = by_cost(plans, tokens);
    std::size_t most =
        options_.max_candidates > 0 ? static_cast<std::size_t>(options_.max_candidates) : order.size();
    if (family > 0) most = std::min(most, candidates_of_other_folds);
    const std::vector<Plan> now = family == 0 ? used(tokens) : std::vector<Plan>{};
    const auto others = std::stable_partition(order.begin(), order.end(), [&](std::size_t index) {
      return std::find(now.begin(), now.end(), plans[index]) != now.end();
    });
    const auto launched = static_cast<std::size_t>(others - order.begin());
    order.resize(std::min(order.size(), std::max(most, launched)));
    for (std::size_t i = 0; i < order.size(); ++i)
      out.push_back({.family = family, .candidate = usable[order[i]], .rank = i < launched ? 0 : i + 1});
  }
  return out;
}

void TunerSearch::run_stage(KernelBench& bench, std::vector<Entry*> entries, int stage, TimingEffort effort,
                            double seconds) {
  if (!runtime_.is_gpu()) effort.min_samples = std::min(effort.min_samples, cpu_samples);
  const Clock::time_point start = Clock::now();
  for (std::size_t first = 0; first < entries.size(); first += heat) {
    if (first > 0 && (stopped_ || seconds_since(start) > seconds)) return;
    const std::size_t count = std::min(heat, entries.size() - first);
    std::vector<std::shared_ptr<const Kernel>> kernels;
    for (std::size_t i = 0; i < count; ++i) kernels.push_back(entries[first + i]->candidate->kernel);
    const std::vector<Measurement> measured = bench.measure(kernels, effort);
    for (std::size_t i = 0; i < count; ++i) {
      entries[first + i]->measurement = measured[i];
      entries[first + i]->stage = stage;
    }
  }
}

/// Those of the last stage near its best, fastest first: of the operator's fold at most `own` without a workspace and as many with
/// one, each within `slack` of the best of its kind, and `others` of all other folds together within `slack` of the best of all.
std::vector<TunerSearch::Entry*> TunerSearch::survivors(std::vector<Entry>& entries, int stage, double slack,
                                                        std::size_t own, std::size_t others) {
  std::vector<Entry*> measured;
  for (Entry& entry : entries)
    if (entry.stage == stage) measured.push_back(&entry);
  std::stable_sort(measured.begin(), measured.end(), [](const Entry* a, const Entry* b) {
    return a->measurement.microseconds < b->measurement.microseconds;
  });
  struct Kind {
    const Entry* best;  // null: the first that comes
    std::size_t most, taken = 0;
  };
  Kind plain{nullptr, own}, with_workspace{nullptr, own}, other{measured.empty() ? nullptr : measured.front(), others};
  std::vector<Entry*> out;
  for (Entry* entry : measured) {
    Kind& kind = entry->family > 0 ? other : needs_workspace(entry->candidate->plan) ? with_workspace : plain;
    if (kind.best == nullptr) kind.best = entry;
    if (entry->measurement.microseconds > slack * kind.best->measurement.microseconds || kind.taken == kind.most) continue;
    out.push_back(entry);
    ++kind.taken;
  }
  return out;
}

TokenResult TunerSearch::race(std::int64_t tokens, double seconds) {
  std::vector<Entry> entries = this->entries(tokens);
  // Heats take what the operator launches now, so that a record is replaced by nothing slower, then candidates of every fold in
  // the order of their rank, so that a short budget leaves out the unlikely ones.
  std::vector<Entry*> order;
  for (Entry& entry : entries) order.push_back(&entry);
  std::stable_sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) { return a->rank < b->rank; });

  const Clock::time_point start = Clock::now();
  KernelBench bench(runtime_, op_.spec(), tokens);
  run_stage(bench, order, 1, first_effort, first_stage_share * seconds);
  if (seconds_since(start) < seconds)
    run_stage(bench, survivors(entries, 1, second_slack, second_own, second_others), 2, second_effort,
              seconds);
  if (seconds_since(start) < seconds)
    run_stage(bench, survivors(entries, 2, last_slack, last_own, last_others), 3, last_effort, seconds);

  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.stage != b.stage ? a.stage > b.stage : a.measurement.microseconds < b.measurement.microseconds;
  });
  TokenResult result;
  result.tokens = tokens;
  for (const Entry& entry : entries) {
    if (entry.stage == 0) {
      ++result.not_raced;
      continue;
    }
    const Timing timing{.schedule = entry.candidate->plan.schedule(),
                        .fold = families_[entry.family].fold,
                        .microseconds = entry.measurement.microseconds,
                        .spread = entry.measurement.spread,
                        .stage = entry.stage};
    if (entry.family == 0) result.timings.push_back(timing);
    if (options_.any_fold && result.best_any_fold.microseconds == 0) result.best_any_fold = timing;
  }
  return result;
}

void TunerSearch::measure() {
  const Clock::time_point start = Clock::now();
  for (std::size_t i = 0; i < options_.tokens.size(); ++i) {
    if (stopped_ || !report("measure", i, options_.tokens.size())) break;
    // What quick token counts leave over goes to the others.
    const double left = options_.seconds - seconds_since(start);
    const double share = left / static_cast<double>(options_.tokens.size() - i);
    if (i > 0 && left <= 0) break;
    if (TokenResult result = race(options_.tokens[i], share); !result.timings.empty())
      result_.tokens.push_back(std::move(result));
  }
  report("measure", result_.tokens.size(), options_.tokens.size());
  for (const std::int64_t tokens : options_.tokens)
    if (std::none_of(result_.tokens.begin(), result_.tokens.end(),
                     [&](const TokenResult& one) { return one.tokens == tokens; }))
      result_.not_measured.push_back(tokens);
  result_.measure_seconds = seconds_since(start);
}

}  // namespace isofold
