#include "launch_table.hpp"

#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/cost_model.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace isofold {

std::vector<LaunchRange> modelled_ranges(const Spec& spec, const Fold& fold, const DeviceTraits& device) {
  std::vector<Plan> plans = candidates(spec, fold, device);
  std::erase_if(plans,
                [](const Plan& plan) { return plan.is_gpu() && plan.gpu().split == Split::workspace; });
  if (plans.empty())
    throw UsageError(fmt::format("no schedule of {} under {} runs on {}", spec.op, text(fold), device.name));
  std::vector<LaunchRange> ranges;
  for (std::int64_t tokens = 1; tokens <= largest_modelled_tokens; tokens *= 2) {
    const Schedule& best = plans[by_cost(plans, tokens).front()].schedule();
    if (!ranges.empty() && ranges.back().schedule == best) continue;
    ranges.push_back({tokens == 1 ? 1 : boundary_between(tokens / 2, tokens), best, "cost model"});
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

LaunchTable::LaunchTable(const Spec& spec, const Fold& fold, const DeviceTraits& device,
                         std::vector<LaunchRange> ranges)
    : spec_(spec), fold_(fold), device_(device), ranges_(std::move(ranges)), slots_(ranges_.size()) {
  for (const LaunchRange& range : ranges_) firsts_.push_back(range.first_tokens);
}

std::size_t LaunchTable::range_of(std::int64_t tokens) const {
  const auto after = std::upper_bound(firsts_.begin(), firsts_.end(), tokens);
  return static_cast<std::size_t>(after - firsts_.begin()) - 1;
}

Plan LaunchTable::plan(std::size_t range, int alignment_class) const {
  Schedule schedule = ranges_[range].schedule;
  if (auto* gpu = std::get_if<GpuSchedule>(&schedule))
    gpu->vector = std::min(gpu->vector, max_vector(spec_, fold_, std::int64_t{1} << alignment_class));
  return make_plan(spec_, fold_, schedule, device_).value();
}

void LaunchTable::insert(std::size_t range, int alignment_class, std::shared_ptr<const Kernel> kernel) {
  const std::lock_guard guard(mutex_);
  std::atomic<const Kernel*>& slot = slots_[range][static_cast<std::size_t>(alignment_class)];
  if (slot.load(std::memory_order_relaxed) != nullptr) return;
  slot.store(kernel.get(), std::memory_order_release);
  kernels_.push_back(std::move(kernel));
}

}  // namespace isofold
