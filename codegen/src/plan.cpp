#include <isofold/codegen/digest.hpp>
#include <isofold/codegen/plan.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "carry.hpp"

namespace isofold {
namespace {

/// Elements of a row that one thread may hold: more would spill, or unroll into an unreadable kernel.
constexpr int max_elements_in_registers = 64;
constexpr int max_elements_unrolled = 512;

bool power_of_two(int value, int most) {
  return value >= 1 && value <= most && std::has_single_bit(static_cast<unsigned>(value));
}

GpuShape shape_of(const Spec& spec, const Fold& fold, const GpuSchedule& s) {
  GpuShape shape;
  shape.warps_per_row = std::max(1, s.threads_per_row / 32);
  shape.threads_per_segment = std::min(s.threads_per_row, 32);
  shape.segments_per_warp = fold.segments / (shape.warps_per_row * s.blocks_per_row);
  shape.lanes_per_thread = fold.lanes / shape.threads_per_segment;
  shape.rounds = static_cast<int>((leaves_per_segment(fold, spec.n) + fold.lanes - 1) / fold.lanes);
  shape.leaves_per_thread = std::int64_t{shape.segments_per_warp} * shape.rounds * shape.lanes_per_thread;
  shape.looped = s.staging == Staging::reread && shape.leaves_per_thread * fold.leaf > max_elements_unrolled;
  shape.block_threads = s.threads_per_row * s.rows_per_block;
  if (s.staging == Staging::shared)
    for (const Carried& carried : carried_values(spec))
      shape.staging_bytes += static_cast<int>(std::min<std::int64_t>(
          1 << 24, shape.block_threads * shape.leaves_per_thread * words_per_leaf(carried.dtype, fold) * 4));
  const int sums_per_row = shape.warps_per_row * (s.split == Split::cluster ? s.blocks_per_row : 1);
  const bool exchange = shape.warps_per_row > 1 || s.split == Split::cluster;
  if (s.shared_calls > 0)
    shape.staging_bytes = static_cast<int>(std::min<std::int64_t>(
        std::int64_t{4} * fold.leaf * s.shared_calls * shape.block_threads * static_cast<std::int64_t>(kept_calls(spec).size()), 1 << 30));
  shape.shared_bytes = shape.staging_bytes + (exchange ? s.rows_per_block * sums_per_row * (is_wide(spec) ? 8 : 4) * static_cast<int>(reductions(spec).size()) : 0);
  if (s.split == Split::workspace)
    shape.workspace_bytes_per_row = s.blocks_per_row * static_cast<int>(reductions(spec).size()) * (is_wide(spec) ? 8 : 4);
  return shape;
}

/// The first broken rule of a GPU schedule, in words; empty when there is none.
std::string gpu_rule(const Spec& spec, const Fold& fold, const GpuSchedule& s, const DeviceTraits& device) {
  if (device.kind != DeviceTraits::Kind::cuda) return "a gpu schedule needs a cuda device";
  if (device.arch < min_arch) return fmt::format("sm_{} is too old, sm_{} or later is needed", device.arch, min_arch);
  if (!power_of_two(s.threads_per_row, 1024))
    return fmt::format("threads={} must be a power of two from 1 to 1024", s.threads_per_row);
  if (!power_of_two(s.rows_per_block, 1024))
    return fmt::format("rows={} must be a power of two from 1 to 1024", s.rows_per_block);
  const int most_blocks = s.split == Split::workspace ? 1024 : 16;
  if (!power_of_two(s.blocks_per_row, most_blocks))
    return fmt::format("blocks={} must be a power of two from 1 to {}", s.blocks_per_row, most_blocks);
  const int block_threads = s.threads_per_row * s.rows_per_block;
  if (block_threads < 32 || block_threads > 1024)
    return fmt::format("threads * rows = {} must be from 32 to 1024", block_threads);
  if ((s.split == Split::none) != (s.blocks_per_row == 1)) return "split=none goes with blocks=1, and only with it";
  if (s.split == Split::cluster && !has_clusters(device))
    return fmt::format("split=cluster needs sm_90 or later, the device is sm_{}", device.arch);
  if (s.split != Split::none && s.rows_per_block != 1) return "a row shared by several blocks needs rows=1";
  if (s.dependent_launch && !has_dependent_launch(device))
    return fmt::format("launch=dependent needs sm_90 or later, the device is sm_{}", device.arch);
  if (s.resident_blocks < 1 || s.resident_blocks > 32 || s.resident_blocks * block_threads > device.threads_per_multiprocessor)
    return fmt::format("resident={} blocks of {} threads: a multiprocessor holds {} threads", s.resident_blocks,
                       block_threads, device.threads_per_multiprocessor);
  const int threads_per_segment = std::min(s.threads_per_row, 32);
  if (threads_per_segment > fold.lanes)
    return fmt::format("threads={} needs at least {} lanes, the fold has {}", s.threads_per_row, threads_per_segment,
                       fold.lanes);
  const int warps = std::max(1, s.threads_per_row / 32) * s.blocks_per_row;
  if (warps > fold.segments)
    return fmt::format("{} warps share a row, the fold has only {} segments", warps, fold.segments);
  if (fold.lanes / threads_per_segment > 32) return "a thread holds at most 32 lanes";
  if (fold.segments / warps > 32) return "a warp holds at most 32 segments";
  if (!power_of_two(s.vector, fold.leaf))
    return fmt::format("vector={} must be a power of two from 1 to the leaf, {}", s.vector, fold.leaf);
  if (spec.n % s.vector != 0) return fmt::format("vector={} must divide the row length {}", s.vector, spec.n);
  if (s.split == Split::workspace && reductions(spec).empty()) return "split=workspace is for sums, the spec has no reduction";
  if (s.staging == Staging::shared && spec.n == 0) return "staging=shared: a row without elements has nothing that waits";
  if (s.split != Split::none && spec.n == 0) return "a row without elements is no work for several blocks";
  if (s.split == Split::workspace && s.staging != Staging::reread)
    return "split=workspace reads the row again in every launch: staging=reread";
  const GpuShape shape = shape_of(spec, fold, s);
  const std::int64_t elements = shape.leaves_per_thread * fold.leaf;
  if (s.staging == Staging::registers && elements > max_elements_in_registers)
    return fmt::format("staging=registers: {} elements per thread, at most {} fit", elements, max_elements_in_registers);
  if (elements > max_elements_unrolled && !shape.looped)
    return fmt::format("{} elements per thread, at most {} are unrolled: staging=reread has a loop", elements, max_elements_unrolled);
  if (shape.looped && shape.lanes_per_thread > 1)
    return fmt::format("{} elements per thread: a loop over them takes one lane per thread, not {}", elements, shape.lanes_per_thread);
  if (std::max((std::int64_t{shape.rounds} + most_rounds_of_a_batch) * fold.lanes, shape.leaves_per_thread + most_rounds_of_a_batch) >
      std::numeric_limits<std::int32_t>::max())
    return fmt::format("{} leaves per thread, {} of a lane: a kernel counts those of a thread and of a segment in 32 bits",
                       shape.leaves_per_thread, shape.rounds);
  if (s.staging != Staging::reread && reductions(spec).empty())
    return "a spec without a reduction has nothing that waits: staging=reread";
  if (s.staging == Staging::shared && carried_values(spec).empty())
    return "staging=shared: no value of the row is needed again after the sum";
  if (s.early_weights && s.staging != Staging::registers) return "weights=early needs staging=registers";
  if (s.shared_calls < 0 || s.shared_calls > shape.leaves_per_thread)
    return fmt::format("shared_calls={} of {} leaves per thread", s.shared_calls, shape.leaves_per_thread);
  if (s.shared_calls > 0 && (s.staging != Staging::registers || kept_calls(spec).empty() || is_wide(spec)))
    return "shared_calls is for staging=registers and a spec with calls that are needed again after the pass that makes them";
  if (s.shared_calls > 0 && fold.leaf % 4 != 0) return fmt::format("shared_calls keeps four values together, a leaf has {}", fold.leaf);
  if (shape.shared_bytes > device.shared_per_block)
    return fmt::format("{} bytes of shared memory, a block has {}", shape.shared_bytes, device.shared_per_block);
  return {};
}

std::string cpu_rule(const Fold& fold, const CpuSchedule& s, const DeviceTraits& device) {
  if (device.kind != DeviceTraits::Kind::cpu) return "a cpu schedule needs a cpu device";
  if (s.width != 4 && s.width != 8 && s.width != 16) return fmt::format("width={} must be 4, 8 or 16", s.width);
  if (fold.leaf > 16) return fmt::format("the cpu backend takes leaves of at most 16 elements, the fold has {}", fold.leaf);
  return {};
}

}  // namespace

class PlanMaker {
 public:
  static Plan make(const Spec& spec, const Fold& fold, const Schedule& schedule, const DeviceTraits& device) {
    Plan plan;
    plan.spec_ = spec;
    plan.fold_ = fold;
    plan.schedule_ = schedule;
    plan.device_ = device;
    return plan;
  }
};

const Plan& PlanResult::value() const {
  if (!*this) throw UsageError("no plan: " + broken_rule());
  return std::get<Plan>(value_);
}

std::string PlanResult::broken_rule() const {
  return std::holds_alternative<Plan>(value_) ? std::string() : std::get<std::string>(value_);
}

PlanResult make_plan(const Spec& spec, const Fold& fold, const Schedule& schedule, const DeviceTraits& device) {
  std::string rule = broken_rule(spec);
  if (!rule.empty()) return "spec: " + rule;
  rule = broken_rule(fold);
  if (rule.empty())
    rule = std::holds_alternative<GpuSchedule>(schedule)
               ? gpu_rule(spec, fold, std::get<GpuSchedule>(schedule), device)
               : cpu_rule(fold, std::get<CpuSchedule>(schedule), device);
  if (!rule.empty()) return rule;
  return PlanMaker::make(spec, fold, schedule, device);
}

std::string text(const Plan& plan) {
  const DeviceTraits& device = plan.device();
  const std::string target = device.kind == DeviceTraits::Kind::cuda
                                 ? fmt::format("sm_{}", device.arch)
                                 : fmt::format("{} {}", device.triple, device.features);
  return fmt::format("{} | {} | {} | {}", text(plan.spec()), text(plan.fold()), text(plan.schedule()), target);
}

std::string digest_of(const Plan& plan) { return digest(text(plan)); }

std::size_t workspace_bytes(const Plan& plan, std::int64_t tokens) {
  if (!needs_workspace(plan)) return 0;
  return static_cast<std::size_t>(tokens) * static_cast<std::size_t>(gpu_shape(plan).workspace_bytes_per_row);
}

GpuShape gpu_shape(const Plan& plan) { return shape_of(plan.spec(), plan.fold(), plan.gpu()); }

std::uint32_t grid_blocks(const Plan& plan, std::int64_t tokens) {
  const GpuSchedule& s = plan.gpu();
  const std::int64_t most = std::numeric_limits<std::int32_t>::max();
  const std::int64_t groups = tokens / s.rows_per_block + (tokens % s.rows_per_block != 0);
  if (tokens < 1 || groups > most / s.blocks_per_row)
    throw UsageError(fmt::format("tokens is {}, allowed with this schedule is 1 to {}", tokens,
                                 most / s.blocks_per_row * s.rows_per_block));
  const std::int64_t blocks = groups * s.blocks_per_row;
  return static_cast<std::uint32_t>(blocks);
}

}  // namespace isofold
