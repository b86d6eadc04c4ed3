#pragma once
#include <isofold/codegen/plan.hpp>
#include <isofold/tuning_table.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "kernel.hpp"
#include "log.hpp"

namespace isofold {

/// From `first_tokens` up to the next range's first: this schedule.
struct LaunchRange {
  std::int64_t first_tokens = 1;
  Schedule schedule;   // needs no workspace
  std::string origin;  // as Choice::origin
  bool tuned = true;   // measured, not modelled
  std::optional<Schedule> with_workspace = {};  // a faster one, for callers that hand a workspace in
};

/// Token counts at which the cost model is asked; above the last its answer stays.
inline constexpr std::int64_t largest_modelled_tokens = 65536;

/// The cost model's choice: asked at 1, 2, 4, ..., with boundaries between them as `boundary_between` places
/// them.
std::vector<LaunchRange> modelled_ranges(const Spec& spec, const Fold& fold, const DeviceTraits& device);

/// The ranges of a table record, all of them schedules that make_plan accepts; the schedules that it does not
/// accept for this device throw UsageError.
std::vector<LaunchRange> launch_ranges(const TableRecord& record, const Spec& spec, const Fold& fold,
                                   const DeviceTraits& device, const std::string& origin);

/// What an operator launches that no bundle has: the ranges of the table's record, else the cost model's. A record that does
/// not fit is a warning.
std::vector<LaunchRange> chosen_ranges(const TuningTable& table, const Spec& spec, const Fold& fold,
                                       const DeviceTraits& device, Log& log);

/// What an operator launches: for each token range one or two choices, the range's schedule and the one with a workspace, and for
/// each access width that alignment leaves the choice's kernel once it is loaded; alignment classes that come to the same kernel
/// share it. The ranges never change; kernels are only added. Thread-safe, reading takes no lock.
class LaunchTable {
 public:
  LaunchTable(const Spec& spec, const Fold& fold, const DeviceTraits& device,
              std::vector<LaunchRange> ranges);

  const std::vector<LaunchRange>& ranges() const { return ranges_; }
  /// Choices are numbered: first those of the ranges, in their order, then those with a workspace.
  std::size_t choices() const { return choices_.size(); }
  /// What a launch over so many tokens takes that may use `workspace_bytes` of workspace.
  std::size_t choice(std::int64_t tokens, std::size_t workspace_bytes = 0) const;
  /// All that launches over these token counts may take, whatever workspace they have: each once, ascending.
  std::vector<std::size_t> choices_of(std::span<const std::int64_t> tokens) const;
  const LaunchRange& range(std::size_t choice) const { return ranges_[choices_[choice].range]; }
  /// Most bytes of workspace that a launch over 1 to `max_tokens` tokens uses.
  std::size_t workspace_bytes(std::int64_t max_tokens) const;
  /// The choice's schedule with the widest accesses that the alignment allows.
  Plan plan(std::size_t choice, int alignment_class) const;

  const Kernel* find(std::size_t choice, int alignment_class) const {
    return slots_[choice][slot_of(choice, alignment_class)].load(std::memory_order_acquire);
  }
  /// Do both classes take the same kernel?
  bool same_kernel(std::size_t choice, int a, int b) const { return slot_of(choice, a) == slot_of(choice, b); }
  void insert(std::size_t choice, int alignment_class, std::shared_ptr<const Kernel> kernel);

 private:
  using Slots = std::array<std::atomic<const Kernel*>, alignment_classes>;
  struct Choice {
    std::size_t range = 0;
    Schedule schedule;
    std::size_t workspace_bytes = 0;  // of one token
  };
  std::size_t range_of(std::int64_t tokens) const;
  void add_choice(std::size_t range, const Schedule& schedule);
  int vector(std::size_t choice, int alignment_class) const;
  std::size_t slot_of(std::size_t choice, int alignment_class) const {
    return slot_of_class_[choice][static_cast<std::size_t>(alignment_class)];
  }
  Spec spec_;
  Fold fold_;
  DeviceTraits device_;
  std::vector<LaunchRange> ranges_;
  std::vector<std::int64_t> firsts_;
  std::vector<Choice> choices_;
  std::vector<std::size_t> with_workspace_;  // of each range; its own number where there is none
  std::vector<std::array<std::uint8_t, alignment_classes>> slot_of_class_;
  std::vector<Slots> slots_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<const Kernel>> kernels_;
};

}  // namespace isofold
