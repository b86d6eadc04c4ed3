#pragma once
#include <isofold/tuner.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench_timing.hpp"
#include "kernel.hpp"
#include "operator_impl.hpp"

namespace isofold {

/// One run of the tuner: candidates, their kernels, and what is known of them.
class TunerSearch {
 public:
  TunerSearch(const OperatorImpl& op, const TuneOptions& options);

  void compile();
  void verify();
  /// Says how many candidates the compiler or the device did not take. Throws when none of the operator's fold is left.
  void note_refusals();
  void measure();

  TuneResult take() { return std::move(result_); }

 private:
  struct Refusal {
    std::string why;
    bool defect = false;  // of Isofold, not of the machine
  };
  struct Candidate {
    Plan plan;
    std::shared_ptr<const KernelImage> image = {};
    std::optional<Plan> shown = {};  // the same schedule of the Spec with its sum as an output
    std::shared_ptr<const KernelImage> shown_image = {};
    std::shared_ptr<const Kernel> kernel = {};  // loaded, and its bits are right
    std::optional<Refusal> refusal = {};        // it can be neither compiled nor run here
  };
  struct Family {  // the candidates of one fold; the first family is the operator's
    Fold fold;
    std::vector<Candidate> candidates;
  };
  struct Entry {  // a candidate in one token count's race
    std::size_t family = 0;
    const Candidate* candidate = nullptr;
    std::size_t rank = 0;  // in its fold, by the cost model; 0: what is launched now
    int stage = 0;
    Measurement measurement = {};
  };

  /// What launches over so many tokens run now, without a workspace and with one.
  std::vector<Plan> used(std::int64_t tokens) const;
  /// Does `work` for a candidate: what it throws costs that candidate, not all that was done so far.
  static void attempt(Candidate& candidate, const std::function<void()>& work);
  void note_local_memory(const Candidate& candidate);
  bool report(const char* stage, std::size_t done, std::size_t total);
  std::vector<Entry> entries(std::int64_t tokens) const;
  TokenResult race(std::int64_t tokens, double seconds);
  void run_stage(KernelBench& bench, std::vector<Entry*> entries, int stage, TimingEffort effort,
                 double seconds);
  static std::vector<Entry*> survivors(std::vector<Entry>& entries, int stage, double slack, std::size_t own,
                                       std::size_t others);

  const OperatorImpl& op_;
  RuntimeImpl& runtime_;
  const TuneOptions& options_;
  Spec shown_;  // the question with its sum as one more output: what tells reduction trees apart
  std::vector<Family> families_;
  bool stopped_ = false;
  TuneResult result_;
};

}  // namespace isofold
