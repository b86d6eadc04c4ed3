#pragma once
#include <isofold/codegen/spec.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "arguments.hpp"
#include "kernel.hpp"
#include "runtime_impl.hpp"
#include "work_buffer.hpp"

namespace isofold {

// GPU time is that of a replayed CUDA graph of many launches, divided by their number, between two events;
// never a host clock around an asynchronous launch. What is compared is replayed in turns, so that a drift of
// the clocks meets all alike. The rows of the launches rotate over more than 1.5 x L2, so that none finds its
// input in the cache; weights are the same in every call.

struct TimingEffort {
  double replay_microseconds = 1000;  // least time of one replay: what the replay itself costs vanishes
  int min_samples = 5;                // replays of each subject
  int max_samples = 40;
  double enough_spread = 0.01;  // stop early when every subject's spread is at most this
  double seconds = 2;           // stop after min_samples when this has passed
};

/// Host time since `start`.
inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Of one launch.
struct Measurement {
  double microseconds = 0;  // median
  double spread = 0;        // (75th - 25th percentile) / median
  int samples = 0;
};
Measurement summary(std::vector<double> samples);

/// Replays graphs in turns and times them with events.
class GraphTimer {
 public:
  explicit GraphTimer(ContextPointer context);
  /// Adds a subject: `record` puts `launches` launches into the stream that it is given.
  void add(std::size_t launches, const std::function<void(CUstream_st*)>& record);
  /// One Measurement for each subject.
  std::vector<Measurement> measure(const TimingEffort& effort) const;

 private:
  struct Subject {
    GraphExec graph;
    std::size_t launches;
  };
  void replay_rounds(int rounds, std::vector<std::vector<double>>& samples) const;

  Stream stream_;
  std::vector<Subject> subjects_;
};

/// Tensors of several independent calls over `tokens` rows, used one after the other.
class RotatingCalls {
 public:
  /// Throws UsageError when not even one call fits into the device's memory.
  RotatingCalls(RuntimeImpl& runtime, const Spec& spec, std::int64_t tokens);
  RotatingCalls(const RotatingCalls&) = delete;
  RotatingCalls& operator=(const RotatingCalls&) = delete;

  std::size_t calls() const { return parameters_.size(); }
  std::int64_t tokens() const { return tokens_; }
  /// Launches the call `index` (modulo calls()) on `stream`.
  void launch(const Kernel& kernel, CUstream_st* stream, std::size_t index);
  /// Its arguments: pointers of inputs and outputs, strides, tokens.
  const Parameters& parameters(std::size_t index) const { return parameters_[index % parameters_.size()]; }
  /// Makes room for what the kernel needs besides its tensors, so that launches can be captured.
  void reserve(const Kernel& kernel);

 private:
  WorkQueue queue_;
  std::int64_t tokens_;
  std::unique_ptr<WorkBuffer> tensors_;
  std::unique_ptr<WorkBuffer> workspace_;
  std::vector<Parameters> parameters_;
};

/// Times kernels of one Spec over one token count against each other.
class KernelBench {
 public:
  KernelBench(RuntimeImpl& runtime, const Spec& spec, std::int64_t tokens);
  /// One Measurement for each kernel.
  std::vector<Measurement> measure(std::span<const std::shared_ptr<const Kernel>> kernels,
                                   const TimingEffort& effort);

 private:
  std::vector<Measurement> measure_gpu(std::span<const std::shared_ptr<const Kernel>> kernels,
                                       const TimingEffort& effort);
  std::vector<Measurement> measure_cpu(std::span<const std::shared_ptr<const Kernel>> kernels,
                                       const TimingEffort& effort);

  RuntimeImpl& runtime_;
  Spec spec_;
  RotatingCalls calls_;
};

}  // namespace isofold
