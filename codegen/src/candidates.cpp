#include <isofold/codegen/candidates.hpp>

#include <algorithm>

#include "carry.hpp"
#include "register_estimate.hpp"

namespace isofold {
namespace {

/// Elements of a row per thread from which a row may wait in shared memory or be read again instead of in registers.
constexpr int long_share = 32;
/// Registers that one block can have, on every architecture from sm_80.
constexpr int registers_per_block = 65536;
/// Estimates above it spilled with the 255 registers that a thread can have.
constexpr int most_estimated_registers = 216;
/// Longer shares than this leave too few threads per row to be worth trying.
constexpr int longest_share = 128;
/// From here on clusters of 16 blocks are tried, and threads whose share is a loop.
constexpr std::int64_t long_row = 65536;
/// Longer rows keep more multiprocessors busy than a cluster has, in spite of the further launches.
constexpr std::int64_t longest_cluster_row = 524288;
/// The code of more, all written out, takes many seconds to compile, and more blocks were always faster.
constexpr int most_segments_of_a_warp = 16;
/// The parts of a multiprocessor that warps and registers are dealt out to.
constexpr int partitions = 4;
/// Registers of a block that its lanes' chains take at most: 16 of each of 1024 threads.
constexpr int most_chain_registers = 16384;
/// Above it calls wait in shared memory where that lets more blocks in; shorter rows have blocks enough.
constexpr std::int64_t shortest_shared_calls = 16384;

/// Registers of a thread whose row waits in shared memory and whose chains are few: with fewer some spill.
constexpr int registers_of_waiting_rows = 64;

/// Registers of a thread when so many blocks are on a multiprocessor.
int registers_of(const DeviceTraits& device, int resident, int threads) {
  const int warps = (resident * ((threads + 31) / 32) + partitions - 1) / partitions;
  return device.registers_per_multiprocessor / partitions / (32 * warps) / 8 * 8;
}

/// Blocks on a multiprocessor whose threads have so many registers.
int resident_with(const DeviceTraits& device, int registers, int threads) {
  return device.registers_per_multiprocessor / partitions / (32 * registers) * partitions / ((threads + 31) / 32);
}

/// More blocks on a multiprocessor than the schedule's registers allow, with just as many calls in shared memory as that takes.
void add_shared_calls(std::vector<Plan>& out, const Spec& spec, const Fold& fold, const DeviceTraits& device,
                      GpuSchedule schedule, int threads, int most) {
  constexpr int tried = 4;
  for (int resident = most + 1; resident <= std::min(most + tried, device.threads_per_multiprocessor / threads); ++resident) {
    const int registers = registers_of(device, resident, threads);
    schedule.resident_blocks = resident;
    for (schedule.shared_calls = 1;; ++schedule.shared_calls) {
      const PlanResult plan = make_plan(spec, fold, schedule, device);
      if (!plan || gpu_shape(plan.value()).shared_bytes * resident > device.shared_per_multiprocessor - 1024 * resident) return;
      if (estimated_registers(plan.value()) > registers) continue;
      out.push_back(plan.value());
      break;
    }
  }
}

/// As many blocks on a multiprocessor as its shared memory holds rows for and few registers let in.
void add_shared_rows(std::vector<Plan>& out, const Spec& spec, const Fold& fold, const DeviceTraits& device, GpuSchedule schedule, int threads) {
  const int bytes = gpu_shape(make_plan(spec, fold, schedule, device).value()).shared_bytes + 1024;
  schedule.resident_blocks = std::min({device.shared_per_multiprocessor / bytes, device.threads_per_multiprocessor / threads,
                                       resident_with(device, registers_of_waiting_rows, threads)});
  if (schedule.resident_blocks < 2) return;
  if (const PlanResult plan = make_plan(spec, fold, schedule, device)) out.push_back(plan.value());
}

/// Would the schedule's blocks be better more and smaller ones?
bool is_crowded(const Plan& plan) {
  const GpuShape shape = gpu_shape(plan);
  return plan.gpu().blocks_per_row > 1 &&
         (shape.segments_per_warp > most_segments_of_a_warp || chain_registers(plan) * shape.block_threads > most_chain_registers);
}

/// The schedule with two register bounds, as many resident blocks as the kernel's registers allow and about half; rows that
/// do not stay in registers need no bound, those in shared memory may have one.
void add_if_legal(std::vector<Plan>& out, const Spec& spec, const Fold& fold, const DeviceTraits& device,
                  GpuSchedule schedule, bool may_spill) {
  schedule.resident_blocks = 1;
  const PlanResult plan = make_plan(spec, fold, schedule, device);
  if (!plan) return;
  if (is_crowded(plan.value())) return;
  const int threads = gpu_shape(plan.value()).block_threads;
  const int estimate = (estimated_registers(plan.value()) + 7) / 8 * 8;
  const int registers = may_spill ? std::min(estimate, most_estimated_registers) : estimate;
  if (schedule.staging != Staging::registers) {
    if (registers > most_estimated_registers) return;
    out.push_back(plan.value());
    const bool has_short_chains = gpu_shape(plan.value()).segments_per_warp == 1 && size_of(spec.inputs.front().dtype) == 2;
    if (schedule.staging == Staging::shared && spec.n > shortest_shared_calls && has_short_chains) add_shared_rows(out, spec, fold, device, schedule, threads);
    return;
  }
  const bool fits = may_spill || (registers * threads <= registers_per_block && registers <= most_estimated_registers);  // would spill otherwise
  const bool one_segment = gpu_shape(plan.value()).segments_per_warp == 1;  // chains of several take the registers
  if (spec.n > shortest_shared_calls && one_segment && fold.leaf <= 8 && keeps_more_than_it_carries(spec, fold))
    add_shared_calls(out, spec, fold, device, schedule, threads, fits ? resident_with(device, registers, threads) : 0);
  if (!fits) return;
  const int most = std::clamp(std::min(resident_with(device, registers, threads), device.threads_per_multiprocessor / threads), 1, 16);
  for (int resident : {most, (most + 1) / 2}) {
    schedule.resident_blocks = resident;
    PlanResult bounded = make_plan(spec, fold, schedule, device);
    if (bounded) out.push_back(bounded.value());
    if (most == 1) break;
  }
}

/// Is there a column that the first pass does not read anyway?
bool has_late_column(const Spec& spec) {
  const std::vector<bool> read = read_by_first_pass(spec);
  for (std::size_t i = 0; i < read.size(); ++i)
    if (spec.inputs[i].extent == Extent::column && !read[i]) return true;
  return false;
}

bool writes_rows(const Spec& spec) {
  const auto level = levels(spec);
  return std::any_of(spec.outputs.begin(), spec.outputs.end(),
                     [&](const Output& output) { return level[static_cast<std::size_t>(output.value)] == Level::element; });
}

/// The memory side of a launch shape: where the row waits and how it is accessed.
void add_stagings(std::vector<Plan>& out, const Spec& spec, const Fold& fold, const DeviceTraits& device,
                  GpuSchedule schedule, bool may_spill) {
  const bool has_column = has_late_column(spec);
  const std::int64_t threads = std::int64_t{schedule.threads_per_row} * schedule.blocks_per_row;
  const std::int64_t share = (leaves(fold, spec.n) + threads - 1) / threads * fold.leaf;
  const bool reads_once = reductions(spec).empty();
  // Narrow accesses share sectors through L1; full leaves pass it by. Measured: the other way round never won.
  schedule.streaming = schedule.vector == fold.leaf;
  if (schedule.split != Split::workspace && !reads_once) {
    for (const bool early : {false, true}) {
      if (early && !has_column) continue;
      schedule.early_weights = early;
      add_if_legal(out, spec, fold, device, schedule, may_spill);
    }
    schedule.early_weights = false;
  }
  if (!may_spill && threads <= 32 && share > longest_share / 2 && writes_rows(spec)) return;  // spills, and was never the fastest
  if (schedule.split != Split::workspace && !reads_once) {
    schedule.staging = Staging::shared;
    if (share >= long_share) add_if_legal(out, spec, fold, device, schedule, may_spill);
  }
  schedule.staging = Staging::reread;
  if (share >= long_share || schedule.split == Split::workspace || reads_once) add_if_legal(out, spec, fold, device, schedule, may_spill);
}

/// A row over more blocks than a cluster has: as many warps as the fold has segments, or half, a quarter.
void add_large_splits(std::vector<Plan>& out, const Spec& spec, const Fold& fold, const DeviceTraits& device, GpuSchedule schedule, bool may_spill) {
  schedule.split = Split::workspace;
  for (schedule.blocks_per_row = 32; schedule.blocks_per_row <= 512; schedule.blocks_per_row *= 2)
    for (int warps = fold.segments; warps >= std::max(1, fold.segments / 4); warps /= 2) {
      schedule.threads_per_row = 32 * warps / schedule.blocks_per_row;
      if (schedule.threads_per_row >= 32 && schedule.threads_per_row <= 512) add_stagings(out, spec, fold, device, schedule, may_spill);
    }
}

/// All of a GPU; kernels that may spill are for operators that have no others, or none without a workspace.
std::vector<Plan> gpu_candidates(const Spec& spec, const Fold& fold, const DeviceTraits& device, int vector_limit, bool may_spill) {
  std::vector<Plan> out;
  GpuSchedule base;
  base.vector = std::min(fold.leaf, vector_limit);
  while (base.vector > 1 && spec.n % base.vector != 0) base.vector /= 2;
  base.dependent_launch = has_dependent_launch(device);
  const std::int64_t row_leaves = leaves(fold, spec.n);

  for (int threads = std::min(4, fold.lanes); threads <= 1024; threads *= 2) {
    const std::int64_t share = (row_leaves + threads - 1) / threads * fold.leaf;
    if (share > longest_share && threads < 512) continue;
    if (share > longest_share && threads < 1024 && (spec.n <= long_row || (spec.n > longest_cluster_row && fold.segments >= 32))) continue;
    if (threads > 32 && threads > 2 * row_leaves) continue;
    if (threads < 32 && row_leaves > 4 * threads) continue;
    GpuSchedule schedule = base;
    schedule.threads_per_row = threads;
    // One row (or one warp) per block spreads few tokens over the device; 256 threads per block fill it with many.
    for (int block = std::max(32, threads); block <= 256 || block == threads; block = block < 256 ? 256 : 2048) {
      schedule.rows_per_block = block / threads;
      add_stagings(out, spec, fold, device, schedule, may_spill);
    }
  }
  const std::size_t of_one_block = out.size();
  for (int blocks : {2, 4, 8, 16}) {
    if (blocks == 16 && (spec.n <= long_row || !has_clusters(device))) continue;
    for (int threads = 128; threads <= 1024; threads *= 2) {
      const std::int64_t team = std::int64_t{threads} * blocks;
      if (row_leaves < team) continue;
      if ((row_leaves + team - 1) / team * fold.leaf > longest_share && (spec.n <= long_row || threads < 512)) continue;
      GpuSchedule schedule = base;
      schedule.threads_per_row = threads;
      schedule.blocks_per_row = blocks;
      schedule.split = has_clusters(device) ? Split::cluster : Split::workspace;
      add_stagings(out, spec, fold, device, schedule, may_spill);
    }
  }
  // One block whose threads loop over their share is many times slower than a cluster, and its code takes longest to compile.
  if (has_clusters(device) && out.size() > of_one_block) {
    const auto end = out.begin() + static_cast<std::ptrdiff_t>(of_one_block);
    out.erase(std::remove_if(out.begin(), end, [&](const Plan& plan) {
      return spec.n > longest_cluster_row || gpu_shape(plan).looped ||
             (spec.n > long_row && plan.gpu().staging == Staging::reread && writes_rows(spec));
    }), end);
  }
  if (spec.n > longest_cluster_row) add_large_splits(out, spec, fold, device, base, may_spill);
  return out;
}

}  // namespace

std::vector<Plan> candidates(const Spec& spec, const Fold& fold, const DeviceTraits& device, int vector_limit) {
  std::vector<Plan> out;
  if (device.kind == DeviceTraits::Kind::cpu) {
    for (int width : {4, 8, 16}) {
      if (width > device.vector_width) continue;
      for (const bool streaming : {false, true}) {
        PlanResult plan = make_plan(spec, fold, CpuSchedule{.width = width, .streaming = streaming}, device);
        if (plan) out.push_back(plan.value());
      }
    }
    return out;
  }

  const std::vector<Plan> found = gpu_candidates(spec, fold, device, vector_limit, false);
  const bool is_enough = std::any_of(found.begin(), found.end(), [](const Plan& plan) { return !needs_workspace(plan); });
  return is_enough ? found : gpu_candidates(spec, fold, device, vector_limit, true);
}

int max_vector(const Spec& spec, const Fold& fold, std::int64_t alignment) {
  int vector = fold.leaf;
  while (vector > 1 && (spec.n % vector != 0 || alignment % vector != 0)) vector /= 2;
  return vector;
}

std::vector<Fold> fold_family(const Spec& spec) {
  const int leaf = static_cast<int>(16 / size_of(spec.inputs.front().dtype));
  std::vector<Fold> out;
  const auto add = [&](Fold fold) {
    if (leaves_per_segment(fold, spec.n) * (fold.segments - 1) >= leaves(fold, spec.n)) return;  // an empty segment
    if (std::find(out.begin(), out.end(), fold) == out.end()) out.push_back(fold);
  };
  add(default_fold(spec));
  // Fewer or more segments than these, and leaves of two accesses, were always slower: docs/benchmarks.md.
  for (int segments = 4; segments <= (spec.n > longest_cluster_row ? 1024 : spec.n > long_row ? 512 : 64); segments *= 2)
    add({.leaf = leaf, .lanes = 32, .segments = segments});
  for (int segments = 4; segments <= 32; segments *= 2) {
    add({.leaf = leaf, .lanes = 128, .segments = segments});
    add({.leaf = std::max(1, leaf / 2), .lanes = 32, .segments = segments});
  }
  if (spec.n > shortest_shared_calls) add({.leaf = std::max(1, leaf / 2), .lanes = 32, .segments = 64});
  return out;
}

}  // namespace isofold
