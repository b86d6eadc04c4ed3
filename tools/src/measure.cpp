#include "measure.hpp"

#include <isofold/codegen/cost_model.hpp>
#include <isofold/error.hpp>
#include <isofold/tuner.hpp>

#include <algorithm>
#include <chrono>
#include <optional>

#include "baselines.hpp"
#include "description.hpp"
#include "host_costs.hpp"
#include "numbers.hpp"
#include "operator_impl.hpp"
#include "python_lines.hpp"
#include "room.hpp"
#include "target.hpp"

namespace isofold::tools {
namespace {

using Clock = std::chrono::steady_clock;

/// Schedules per token count and fold that the search over all folds tries.
constexpr int candidates_per_fold = 12;
constexpr double call_seconds = 0.2;
constexpr std::size_t most_calls = 500;

/// The fastest (fold, schedule) of any fold per token count, in the order of `tokens`; nothing where the
/// search did not get there.
std::vector<std::optional<Timing>> fastest_of_any_fold(const Runtime& runtime, const Problem& problem,
                                                       const std::vector<std::int64_t>& tokens,
                                                       double seconds, Progress& progress) {
  Operator op =
      runtime.make_operator(problem.spec, problem.fold);  // its own: tuning changes what an operator launches
  TuneOptions options;
  options.tokens = tokens;
  options.seconds = seconds;
  options.max_candidates = candidates_per_fold;
  options.any_fold = true;
  options.progress = [&](const TuneProgress& at) {
    progress.update("folds: " + at.stage, at.done, at.total);
    return !interrupted();
  };
  const TuneResult result = tune(op, options);
  std::vector<std::optional<Timing>> best(tokens.size());
  for (const TokenResult& one : result.tokens) {
    const auto place = std::find(tokens.begin(), tokens.end(), one.tokens) - tokens.begin();
    if (one.best_any_fold.microseconds > 0) best[static_cast<std::size_t>(place)] = one.best_any_fold;
  }
  return best;
}

/// Median time from a call to its result, the tensors rotating.
double whole_call(
    const RotatingCalls& calls, const Spec& spec, const WorkQueue& queue,
    const std::function<void(std::span<const ConstTensor>, std::span<const MutableTensor>)>& launch) {
  std::vector<double> samples;
  const Clock::time_point start = Clock::now();
  std::vector<ConstTensor> inputs(spec.inputs.size());
  std::vector<MutableTensor> outputs(spec.outputs.size());
  for (std::size_t i = 0; i < 8 || (samples.size() < most_calls && seconds_since(start) < call_seconds);
       ++i) {
    const Parameters& parameters = calls.parameters(i);
    for (std::size_t t = 0; t < inputs.size(); ++t)
      inputs[t].data = reinterpret_cast<const void*>(parameters.values[t]);
    for (std::size_t t = 0; t < outputs.size(); ++t)
      outputs[t].data = reinterpret_cast<void*>(parameters.values[inputs.size() + t]);
    queue.synchronize();
    const Clock::time_point begin = Clock::now();
    launch(inputs, outputs);
    queue.synchronize();
    if (i >= 3) samples.push_back(1e6 * seconds_since(begin));  // the first ones load what is loaded late
  }
  return summary(std::move(samples)).microseconds;
}

/// Fills the lines of one run, token count by token count.
class Bench {
 public:
  Bench(const Console& console, const MeasureOptions& options, const Runtime& runtime, const Problem& problem)
      : options_(options),
        runtime_(runtime),
        impl_(*runtime.impl()),
        problem_(problem),
        progress_(console),
        op_(runtime.make_operator(problem.spec, problem.fold)),
        result_(description_of(runtime, problem)) {
    result_.tokens = parse_tokens(options.tokens);
  }

  BenchResult run() {
    op_.prepare(result_.tokens);
    const std::vector<std::optional<Timing>> any = search();
    isofold_ = line("isofold", result_.gpu ? "Isofold" : "Isofold (CPU)");
    any_fold_ =
        line("any_fold", result_.gpu ? "Non-batch-invariant (CUDA)" : "Fold free per token count (CPU)");
    copy_ = line("copy", result_.gpu ? "Copy of as many bytes" : "memcpy of as many bytes");
    if (result_.gpu) empty_ = line("empty", "Empty kernel");
    if (options_.no_folds) any_fold_.missing = "not asked for (--no-folds)";
    for (std::size_t i = 0; i < result_.tokens.size() && !interrupted(); ++i) {
      progress_.update("measure", i, result_.tokens.size());
      measure_tokens(i, any.empty() ? std::nullopt : any[i]);
      progress_.update("measure", i + 1, result_.tokens.size());
    }
    if (any_fold_.missing.empty() &&
        std::none_of(any.begin(), any.end(), [](const auto& t) { return t.has_value(); }))
      any_fold_.missing = "the search was ended before it found anything";
    result_.lines = {isofold_, any_fold_};
    PythonLines python = python_lines();
    for (BenchLine& one : python.lines) result_.lines.push_back(std::move(one));
    if (!python.versions.empty()) result_.environment += ", " + python.versions;
    result_.lines.push_back(copy_);
    if (result_.gpu) result_.lines.push_back(empty_);
    if (!options_.no_host && !interrupted()) {
      progress_.update("host", 0, 1);
      result_.host = measure_host_costs(runtime_, problem_);
      progress_.update("host", 1, 1);
    }
    return std::move(result_);
  }

 private:
  BenchLine line(std::string key, std::string name) const {
    const std::vector<double> unmeasured(result_.tokens.size(), -1.0);
    return {std::move(key), std::move(name), unmeasured, {}, {}, {}};
  }

  std::vector<std::optional<Timing>> search() {
    if (options_.no_folds) return {};
    return fastest_of_any_fold(runtime_, problem_, result_.tokens, options_.seconds, progress_);
  }

  void measure_tokens(std::size_t i, const std::optional<Timing>& any) {
    const std::int64_t tokens = result_.tokens[i];
    const std::size_t workspace_bytes = op_.workspace_bytes(tokens);
    const Choice choice = op_.choice(tokens, 16, workspace_bytes);
    std::vector<std::shared_ptr<const Kernel>> kernels = {impl_.store().kernel(op_.plan(tokens, 16, workspace_bytes))};
    if (any) {
      const Plan plan = make_plan(problem_.spec, any->fold, any->schedule, runtime_.device()).value();
      kernels.push_back(impl_.store().kernel(plan));
    }
    const TimingEffort effort;
    {
      KernelBench bench(impl_, problem_.spec, tokens);
      const std::vector<Measurement> measured = bench.measure(kernels, effort);
      isofold_.kernel[i] = measured[0].microseconds;
      isofold_.detail.push_back(fmt::format("{} ({})", choice.schedule, choice.origin));
      if (any) {
        any_fold_.kernel[i] = measured[1].microseconds;
        any_fold_.detail.resize(i);
        any_fold_.detail.push_back(fmt::format("{} with {}", text(any->schedule), text(any->fold)));
      }
    }
    copy_.kernel[i] = measure_copy(impl_, bytes_moved(problem_.spec, tokens), effort).microseconds;
    if (!result_.gpu) return;
    empty_.kernel[i] = i == 0 ? measure_empty_kernel(impl_, effort).microseconds : empty_.kernel[0];
    measure_calls(i, kernels);
  }

  void measure_calls(std::size_t i, const std::vector<std::shared_ptr<const Kernel>>& kernels) {
    const std::int64_t tokens = result_.tokens[i];
    const WorkQueue queue(impl_.store().target());
    const RotatingCalls calls(impl_, problem_.spec, tokens);
    isofold_.call.resize(result_.tokens.size(), -1.0);
    const std::size_t own_bytes = op_.workspace_bytes(tokens);
    const WorkBuffer own_workspace(queue, own_bytes);
    isofold_.call[i] = whole_call(calls, problem_.spec, queue, [&](auto inputs, auto outputs) {
      op_.launch(queue.stream(), inputs, outputs, tokens, {own_workspace.data(), own_bytes});
    });
    if (kernels.size() < 2) return;
    const ArgumentLayout layout(problem_.spec);
    const WorkBuffer workspace(queue, kernels[1]->workspace_bytes(tokens));
    any_fold_.call.resize(result_.tokens.size(), -1.0);
    any_fold_.call[i] = whole_call(calls, problem_.spec, queue, [&](auto inputs, auto outputs) {
      Parameters parameters;
      layout.bind(inputs, outputs, tokens, parameters);
      kernels[1]->launch(queue.stream(), parameters, tokens, workspace.data());
    });
  }

  PythonLines python_lines() {
    if (options_.no_python) return missing_python_lines(problem_.spec, "not asked for (--no-python)");
    if (interrupted()) return missing_python_lines(problem_.spec, "interrupted");
    progress_.update("python", 0, 1);
    PythonLines lines = measure_python_lines(problem_.spec, result_.tokens, result_.gpu);
    progress_.update("python", 1, 1);
    return lines;
  }

  const MeasureOptions& options_;
  const Runtime& runtime_;
  RuntimeImpl& impl_;
  const Problem& problem_;
  Progress progress_;
  Operator op_;
  BenchResult result_;
  BenchLine isofold_, any_fold_, copy_, empty_;
};

}  // namespace

BenchResult measure(const Console& console, const MeasureOptions& options) {
  const Problem problem = options.op.problem();
  const std::int64_t most_tokens = parse_tokens(options.tokens).back();
  const Runtime runtime = open_runtime(options.device);
  check_room(runtime, problem.spec, most_tokens);
  catch_interrupt();
  return Bench(console, options, runtime, problem).run();
}

}  // namespace isofold::tools
