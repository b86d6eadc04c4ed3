#include "launch_table.hpp"

#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/cost_model.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace isofold {

std::vector<LaunchRange> modelled_ranges(const Spec& spec, const Fold& fold, const DeviceTraits& device) {
  std::vector<Plan> plans = candidates(spec, fold, device);
  std::erase_if(plans, needs_workspace);
  if (plans.empty())
    throw UsageError(fmt::format("no schedule of {} under {} runs on {}", spec.op, text(fold), device.name));
  std::vector<LaunchRange> ranges;
  for (std::int64_t tokens = 1; tokens <= largest_modelled_tokens; tokens *= 2) {
    const Schedule& best = plans[by_cost(plans, tokens).front()].schedule();
    if (!ranges.empty() && ranges.back().schedule == best) continue;
    ranges.push_back({tokens == 1 ? 1 : boundary_between(tokens / 2, tokens), best, "cost model", false});
  }
  return ranges;
}

std::vector<LaunchRange> ranges_of(const TableRecord& record, const Spec& spec, const Fold& fold,
                                   const DeviceTraits& device, const std::string& origin) {
  std::vector<LaunchRange> ranges;
  for (const TableRange& range : record.ranges) {
    make_plan(spec, fold, range.schedule, device).value();
    ranges.push_back({range.first_tokens, range.schedule, origin});
  }
  return ranges;
}

std::vector<LaunchRange> chosen_ranges(const TuningTable& table, const Spec& spec, const Fold& fold,
                                       const DeviceTraits& device, Log& log) {
  if (const TableRecord* record = table.find(spec, fold, device)) {
    try {
      return ranges_of(*record, spec, fold, device, "table " + record->origin);
    } catch (const UsageError& error) {
      log.warning(fmt::format("{}: not used: {}", record->origin, error.what()));
    }
  }
  return modelled_ranges(spec, fold, device);
}

LaunchTable::LaunchTable(const Spec& spec, const Fold& fold, const DeviceTraits& device,
                         std::vector<LaunchRange> ranges)
    : spec_(spec), fold_(fold), device_(device), ranges_(std::move(ranges)), slots_(ranges_.size()) {
  for (std::size_t range = 0; range < ranges_.size(); ++range) {
    firsts_.push_back(ranges_[range].first_tokens);
    auto& slots = slot_of_class_.emplace_back();
    for (int c = 1; c < alignment_classes; ++c) {
      const auto place = static_cast<std::size_t>(c);
      slots[place] = static_cast<std::uint8_t>(slots[place - 1] + (vector(range, c) != vector(range, c - 1)));
    }
  }
}

/// Elements per access; 0 where the schedule has no such choice.
int LaunchTable::vector(std::size_t range, int alignment_class) const {
  const auto* gpu = std::get_if<GpuSchedule>(&ranges_[range].schedule);
  if (gpu == nullptr) return 0;
  const bool any = alignment_class == alignment_classes - 1;
  return std::min(gpu->vector, max_vector(spec_, fold_, any ? max_leaf : std::int64_t{1} << alignment_class));
}

std::size_t LaunchTable::range_of(std::int64_t tokens) const {
  const auto after = std::upper_bound(firsts_.begin(), firsts_.end(), tokens);
  return static_cast<std::size_t>(after - firsts_.begin()) - 1;
}

Plan LaunchTable::plan(std::size_t range, int alignment_class) const {
  Schedule schedule = ranges_[range].schedule;
  if (auto* gpu = std::get_if<GpuSchedule>(&schedule)) gpu->vector = vector(range, alignment_class);
  return make_plan(spec_, fold_, schedule, device_).value();
}

void LaunchTable::insert(std::size_t range, int alignment_class, std::shared_ptr<const Kernel> kernel) {
  const std::lock_guard guard(mutex_);
  std::atomic<const Kernel*>& slot = slots_[range][slot_of(range, alignment_class)];
  if (slot.load(std::memory_order_relaxed) != nullptr) return;
  slot.store(kernel.get(), std::memory_order_release);
  kernels_.push_back(std::move(kernel));
}

}  // namespace isofold
