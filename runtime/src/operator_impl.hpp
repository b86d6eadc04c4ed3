#pragma once
#include <isofold/runtime.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "launch_table.hpp"
#include "runtime_impl.hpp"

namespace isofold {

/// Which of rms_norm's arguments each tensor of a Spec is, by name.
class RmsNormNames {
 public:
  explicit RmsNormNames(const Spec& spec);
  /// Throws UsageError when the Spec has tensors of other names, or `arguments` has a tensor that the Spec
  /// lacks.
  void check(const RmsNormArguments& arguments) const;
  /// In the Spec's order; the counts are those of the Spec.
  void order(const RmsNormArguments& arguments, std::span<ConstTensor> inputs,
             std::span<MutableTensor> outputs) const;

 private:
  enum class Input { x, residual, weight };
  enum class Output { y, residual_out };
  std::string op_;
  std::string foreign_;  // name of a tensor that rms_norm does not have
  bool residual_ = false, weight_ = false, residual_out_ = false;
  std::vector<Input> inputs_;
  std::vector<Output> outputs_;
};

/// Everything behind an Operator.
class OperatorImpl {
 public:
  OperatorImpl(std::shared_ptr<RuntimeImpl> runtime, const Spec& spec, const Fold& fold);

  RuntimeImpl& runtime() const { return *runtime_; }
  const Spec& spec() const { return spec_; }
  const Fold& fold() const { return fold_; }
  const std::string& bits_id() const { return bits_id_; }
  const ArgumentLayout& layout() const { return layout_; }
  const RmsNormNames& rms_norm_names() const { return rms_norm_names_; }

  /// The current table. It, and kernels found in it, live as long as the operator.
  LaunchTable& table() const {
    if (LaunchTable* table = current_.load(std::memory_order_acquire)) [[likely]]
      return *table;
    return make_table();
  }
  /// Launches from now on choose from these ranges.
  void use(std::vector<LaunchRange> ranges) const;

  /// Loads the kernels of these token counts for `lowest_class` and every class above it.
  void prepare(std::span<const std::int64_t> tokens, int lowest_class) const;
  /// The same for every token count from 1.
  void prepare_up_to(std::int64_t max_tokens, int lowest_class) const;
  void launch(CUstream_st* stream, std::span<const ConstTensor> inputs,
              std::span<const MutableTensor> outputs, std::int64_t tokens, const Workspace& workspace) const;

 private:
  LaunchTable& make_table() const;
  void load(LaunchTable& table, std::span<const std::size_t> choices, int lowest_class) const;
  /// Throws UsageError when the range was modelled and schedules must have been measured.
  void check_tuned(const LaunchRange& range, std::int64_t tokens) const;
  const Kernel& prepare_for_launch(LaunchTable& table, std::size_t choice, int alignment_class,
                                   CUstream_st* stream, std::int64_t tokens) const;

  std::shared_ptr<RuntimeImpl> runtime_;
  Spec spec_;
  Fold fold_;
  std::string bits_id_;
  ArgumentLayout layout_;
  const Nvtx* nvtx_;    // null unless a profiler is shown ranges
  void* nvtx_launch_;   // what it calls a launch
  LaunchCounts* counts_;  // null unless launches are recorded
  bool writes_nothing_;  // rows are empty and there is no number per token
  RmsNormNames rms_norm_names_;
  mutable std::mutex preparing_;  // held while kernels are prepared, so that `use` misses none; taken before mutex_
  mutable std::mutex mutex_;      // of tables_
  mutable std::vector<std::unique_ptr<LaunchTable>>
      tables_;  // replaced ones are kept: a launch may be reading them
  mutable std::atomic<LaunchTable*> current_ = nullptr;
};

}  // namespace isofold
