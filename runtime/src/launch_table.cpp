#include "launch_table.hpp"

#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/cost_model.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

namespace isofold {

std::vector<LaunchRange> modelled_ranges(const Spec& spec, const Fold& fold, const DeviceTraits& device) {
  const std::vector<Plan> all = candidates(spec, fold, device);
  std::vector<Plan> plain = all;
  std::erase_if(plain, [](const Plan& plan) { return needs_workspace(plan); });
  if (plain.empty())
    throw UsageError(fmt::format("no schedule of {} under {} runs on {}", spec.op, text(fold), device.name));
  std::vector<LaunchRange> ranges;
  for (std::int64_t tokens = 1; tokens <= largest_modelled_tokens; tokens *= 2) {
    LaunchRange range{1, plain[by_cost(plain, tokens).front()].schedule(), "cost model", false};
    if (const Plan& best = all[by_cost(all, tokens).front()]; needs_workspace(best)) range.with_workspace = best.schedule();
    if (!ranges.empty() && ranges.back().schedule == range.schedule && ranges.back().with_workspace == range.with_workspace) continue;
    if (tokens > 1) range.first_tokens = boundary_between(tokens / 2, tokens);
    ranges.push_back(std::move(range));
  }
  return ranges;
}

std::vector<LaunchRange> launch_ranges(const TableRecord& record, const Spec& spec, const Fold& fold,
                                   const DeviceTraits& device, const std::string& origin) {
  std::vector<LaunchRange> ranges;
  for (const TableRange& range : record.ranges) {
    make_plan(spec, fold, range.schedule, device).value();
    LaunchRange& launched = ranges.emplace_back(LaunchRange{range.first_tokens, range.schedule, origin});
    if (!range.with_workspace) continue;
    launched.with_workspace = range.with_workspace->schedule;
    make_plan(spec, fold, *launched.with_workspace, device).value();
  }
  return ranges;
}

std::vector<LaunchRange> chosen_ranges(const TuningTable& table, const Spec& spec, const Fold& fold,
                                       const DeviceTraits& device, Log& log) {
  if (const TableRecord* record = table.find(spec, fold, device)) {
    try {
      return launch_ranges(*record, spec, fold, device, "table " + record->origin);
    } catch (const UsageError& error) {
      log.warning(fmt::format("{}: not used: {}", record->origin, error.what()));
    }
  }
  return modelled_ranges(spec, fold, device);
}

LaunchTable::LaunchTable(const Spec& spec, const Fold& fold, const DeviceTraits& device,
                         std::vector<LaunchRange> ranges)
    : spec_(spec), fold_(fold), device_(device), ranges_(std::move(ranges)) {
  for (std::size_t range = 0; range < ranges_.size(); ++range) {
    firsts_.push_back(ranges_[range].first_tokens);
    add_choice(range, ranges_[range].schedule);
  }
  for (std::size_t range = 0; range < ranges_.size(); ++range) {
    with_workspace_.push_back(range);
    if (!ranges_[range].with_workspace) continue;
    with_workspace_.back() = choices_.size();
    add_choice(range, *ranges_[range].with_workspace);
  }
  slots_ = std::vector<Slots>(choices_.size());
}

void LaunchTable::add_choice(std::size_t range, const Schedule& schedule) {
  const std::size_t choice = choices_.size();
  choices_.push_back({range, schedule});
  auto& slots = slot_of_class_.emplace_back();
  for (int c = 1; c < alignment_classes; ++c) {
    const auto place = static_cast<std::size_t>(c);
    slots[place] = static_cast<std::uint8_t>(slots[place - 1] + (vector(choice, c) != vector(choice, c - 1)));
  }
  if (choice >= ranges_.size()) choices_[choice].workspace_bytes = isofold::workspace_bytes(plan(choice, 0), 1);
}

/// Elements per access; 0 where the schedule has no such choice.
int LaunchTable::vector(std::size_t choice, int alignment_class) const {
  const auto* gpu = std::get_if<GpuSchedule>(&choices_[choice].schedule);
  if (gpu == nullptr) return 0;
  const bool any = alignment_class == alignment_classes - 1;
  return std::min(gpu->vector, max_vector(spec_, fold_, any ? max_leaf : std::int64_t{1} << alignment_class));
}

std::size_t LaunchTable::range_of(std::int64_t tokens) const {
  const auto after = std::upper_bound(firsts_.begin(), firsts_.end(), tokens);
  return static_cast<std::size_t>(after - firsts_.begin()) - 1;
}

std::size_t LaunchTable::choice(std::int64_t tokens, std::size_t workspace_bytes) const {
  const std::size_t range = range_of(tokens);
  if (workspace_bytes == 0) return range;
  const std::size_t faster = with_workspace_[range];
  if (faster == range || static_cast<std::size_t>(tokens) > workspace_bytes / choices_[faster].workspace_bytes) return range;
  return faster;
}

std::vector<std::size_t> LaunchTable::choices_of(std::span<const std::int64_t> tokens) const {
  std::set<std::size_t> choices;
  for (const std::int64_t count : tokens) {
    const std::size_t range = range_of(count);
    choices.insert({range, with_workspace_[range]});
  }
  return {choices.begin(), choices.end()};
}

std::size_t LaunchTable::workspace_bytes(std::int64_t max_tokens) const {
  std::size_t most = 0;
  for (std::size_t range = 0; range < ranges_.size() && firsts_[range] <= max_tokens; ++range) {
    const std::int64_t last = range + 1 < firsts_.size() ? std::min(firsts_[range + 1] - 1, max_tokens) : max_tokens;
    const std::size_t of_one = choices_[with_workspace_[range]].workspace_bytes;
    if (of_one > 0 && static_cast<std::size_t>(last) > std::numeric_limits<std::size_t>::max() / of_one)
      throw UsageError(fmt::format("max_tokens is {}: the workspace would not fit into the address space", max_tokens));
    most = std::max(most, static_cast<std::size_t>(last) * of_one);
  }
  return most;
}

Plan LaunchTable::plan(std::size_t choice, int alignment_class) const {
  Schedule schedule = choices_[choice].schedule;
  if (auto* gpu = std::get_if<GpuSchedule>(&schedule)) gpu->vector = vector(choice, alignment_class);
  return make_plan(spec_, fold_, schedule, device_).value();
}

void LaunchTable::insert(std::size_t choice, int alignment_class, std::shared_ptr<const Kernel> kernel) {
  const std::lock_guard guard(mutex_);
  std::atomic<const Kernel*>& slot = slots_[choice][slot_of(choice, alignment_class)];
  if (slot.load(std::memory_order_relaxed) != nullptr) return;
  slot.store(kernel.get(), std::memory_order_release);
  kernels_.push_back(std::move(kernel));
}

}  // namespace isofold
