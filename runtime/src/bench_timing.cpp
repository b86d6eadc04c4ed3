#include "bench_timing.hpp"

#include <isofold/codegen/cost_model.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace isofold {
namespace {

using Clock = std::chrono::steady_clock;

/// Graphs that exist at a time.
constexpr std::size_t subjects_at_once = 16;
/// Launches of one graph.
constexpr std::size_t most_launches = 8192;
/// Replays before the first sample: graphs are uploaded, and the clocks have time to rise.
constexpr double warm_up_seconds = 0.01;

/// Launches that fill a replay of one of `subjects`. The time of one is guessed from below, so that the replay becomes
/// too long rather than too short. Where that needs less than a rotation over `calls`, the subjects share one: each has
/// its own part of the calls, and a round of all subjects goes through every call.
std::size_t launches_per_replay(std::size_t calls, std::size_t subjects, double bytes,
                                double bytes_per_microsecond, const TimingEffort& effort) {
  const double one = std::max(1.0, bytes / bytes_per_microsecond);
  const auto wanted = static_cast<std::size_t>(std::ceil(effort.replay_microseconds / one));
  if (wanted < calls) return std::min(calls, std::max(wanted, (calls + subjects - 1) / subjects));
  return std::max<std::size_t>(1, std::min(wanted, most_launches) / calls) * calls;
}

double fastest_memory(const DeviceTraits& device) {
  return device.kind == DeviceTraits::Kind::cuda ? 4e6 : 1e4 * device.threads;  // bytes per microsecond
}

}  // namespace

Measurement summary(std::vector<double> samples) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  const auto quantile = [&](double part) {
    const double place = part * static_cast<double>(samples.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, samples.size() - 1);
    return samples[below] + (place - static_cast<double>(below)) * (samples[above] - samples[below]);
  };
  const double median = quantile(0.5);
  return {median, (quantile(0.75) - quantile(0.25)) / median, static_cast<int>(samples.size())};
}

GraphTimer::GraphTimer(ContextPointer context) : stream_(std::move(context)) {}

void GraphTimer::add(std::size_t launches, const std::function<void(CUstream_st*)>& record) {
  subjects_.push_back({GraphExec(stream_, [&] { record(stream_.get()); }), launches});
}

/// Everything is enqueued before anything is waited for: the device never waits for the host between two
/// events.
void GraphTimer::replay_rounds(int rounds, std::vector<std::vector<double>>& samples) const {
  std::vector<Event> starts, stops;
  for (std::size_t i = 0; i < subjects_.size() * static_cast<std::size_t>(rounds); ++i) {
    starts.emplace_back(stream_.context());
    stops.emplace_back(stream_.context());
  }
  subjects_.back().graph.launch(stream_.get());  // keeps the device busy while the host gets ahead
  std::size_t at = 0;
  for (int round = 0; round < rounds; ++round)
    for (const Subject& subject : subjects_) {
      starts[at].record(stream_.get());
      subject.graph.launch(stream_.get());
      stops[at++].record(stream_.get());
    }
  stream_.synchronize();
  at = 0;
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < subjects_.size(); ++i, ++at)
      samples[i].push_back(stops[at].microseconds_since(starts[at]) /
                           static_cast<double>(subjects_[i].launches));
}

std::vector<Measurement> GraphTimer::measure(const TimingEffort& effort) const {
  std::vector<Measurement> out(subjects_.size());
  if (subjects_.empty()) return out;
  const Clock::time_point start = Clock::now();
  do {
    for (const Subject& subject : subjects_) subject.graph.launch(stream_.get());
    stream_.synchronize();
  } while (seconds_since(start) < warm_up_seconds);
  std::vector<std::vector<double>> samples(subjects_.size());
  for (int taken = 0; taken < effort.max_samples;) {
    const int rounds = std::min(effort.min_samples, effort.max_samples - taken);
    replay_rounds(rounds, samples);
    taken += rounds;
    double worst = 0;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      out[i] = summary(samples[i]);
      worst = std::max(worst, out[i].spread);
    }
    if (worst <= effort.enough_spread || seconds_since(start) > effort.seconds) break;
  }
  return out;
}

KernelBench::KernelBench(RuntimeImpl& runtime, const Spec& spec, std::int64_t tokens)
    : runtime_(runtime), spec_(spec), calls_(runtime, spec, tokens) {}

std::vector<Measurement> KernelBench::measure(std::span<const std::shared_ptr<const Kernel>> kernels,
                                              const TimingEffort& effort) {
  return runtime_.is_gpu() ? measure_gpu(kernels, effort) : measure_cpu(kernels, effort);
}

std::vector<Measurement> KernelBench::measure_gpu(std::span<const std::shared_ptr<const Kernel>> kernels,
                                                  const TimingEffort& effort) {
  const double bytes = static_cast<double>(bytes_moved(spec_, calls_.tokens()));
  std::vector<Measurement> out;
  for (std::size_t first = 0; first < kernels.size(); first += subjects_at_once) {
    const std::size_t count = std::min(subjects_at_once, kernels.size() - first);
    const std::size_t launches =
        launches_per_replay(calls_.calls(), count, bytes, fastest_memory(runtime_.device()), effort);
    GraphTimer timer(runtime_.context());
    std::size_t call = 0;
    for (const std::shared_ptr<const Kernel>& kernel : kernels.subspan(first, count)) {
      calls_.reserve(*kernel);
      timer.add(launches, [&](CUstream_st* stream) {
        for (std::size_t launch = 0; launch < launches; ++launch) calls_.launch(*kernel, stream, call++);
      });
    }
    const std::vector<Measurement> measured = timer.measure(effort);
    out.insert(out.end(), measured.begin(), measured.end());
  }
  return out;
}

std::vector<Measurement> KernelBench::measure_cpu(std::span<const std::shared_ptr<const Kernel>> kernels,
                                                  const TimingEffort& effort) {
  const double bytes = static_cast<double>(bytes_moved(spec_, calls_.tokens()));
  const std::size_t launches = launches_per_replay(1, 1, bytes, fastest_memory(runtime_.device()), effort);
  std::vector<std::vector<double>> samples(kernels.size());
  std::vector<Measurement> out(kernels.size());
  std::size_t call = 0;
  const Clock::time_point start = Clock::now();
  for (int round = 0; round <= effort.max_samples; ++round) {
    double worst = 0;
    for (std::size_t i = 0; i < kernels.size(); ++i) {
      const Clock::time_point begin = Clock::now();
      for (std::size_t launch = 0; launch < launches; ++launch) calls_.launch(*kernels[i], nullptr, call++);
      const double microseconds = 1e6 * seconds_since(begin) / static_cast<double>(launches);
      if (round == 0) continue;  // the first touches every page
      samples[i].push_back(microseconds);
      out[i] = summary(samples[i]);
      worst = std::max(worst, out[i].spread);
    }
    if (round >= effort.min_samples &&
        (worst <= effort.enough_spread || seconds_since(start) > effort.seconds))
      break;
  }
  return out;
}

}  // namespace isofold
