#pragma once
#include <isofold/codegen/device_traits.hpp>
#include <isofold/codegen/plan.hpp>
#include <isofold/runtime.hpp>
#include <isofold/tuning_table.hpp>

#include <memory>
#include <optional>
#include <string>

#include "kernel.hpp"
#include "operator_options.hpp"

namespace isofold::tools {

/// A Runtime for "", "auto", "cpu" or "cuda:<n>"; UsageError for the name of an architecture, which is no
/// device.
Runtime open_runtime(const std::string& device);

/// A plan, and why this one.
struct ChosenPlan {
  Plan plan;
  std::string origin;
};

/// What code is generated for: a device of this machine, or an architecture that need not be here. Not
/// thread-safe.
class Target {
 public:
  /// A device as `open_runtime` takes it, sm_<number>, or one of cpu_traits: x86-64, avx2, avx512, aarch64.
  explicit Target(const std::string& device);

  const std::string& name() const { return name_; }
  const DeviceTraits& traits() const { return traits_; }
  bool is_gpu() const { return traits_.kind == DeviceTraits::Kind::cuda; }

  /// The plan of `schedule` (its text) when there is one, else what an operator would use for this token
  /// count, for tensors aligned to `alignment` bytes, when it is handed a workspace or not.
  ChosenPlan choose(const Problem& problem, const std::string& schedule, std::int64_t tokens,
                    int alignment, bool with_workspace) const;

  /// The range of the tuning table that chose the schedule for this token count; nothing where no table did, or for an
  /// architecture.
  std::optional<TableRange> measured_range(const Problem& problem, std::int64_t tokens) const;

  /// Time of a copy of `bytes` / 2 bytes, which reads and writes as much as that: what the memory system needs at least.
  /// Measured now; nothing for an architecture.
  std::optional<double> copy_microseconds(std::int64_t bytes) const;

  /// What the plan compiles to; UsageError when the compiler is missing.
  std::shared_ptr<const KernelImage> compile(const Plan& plan);

 private:
  struct Compiler;
  std::string name_;
  DeviceTraits traits_;
  std::optional<Runtime> runtime_;
  std::shared_ptr<Compiler> compiler_;
};

}  // namespace isofold::tools
