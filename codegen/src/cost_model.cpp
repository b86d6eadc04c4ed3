#include <isofold/codegen/cost_model.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "register_estimate.hpp"

namespace isofold {
namespace {

// Rough figures of recent data-centre GPUs; only their order matters, never a bit.
constexpr double launch_microseconds = 0.9;
constexpr double memory_latency_microseconds = 0.45;
constexpr double bytes_per_microsecond_per_multiprocessor = 23e3;  // device memory, shared out evenly
constexpr double cached_bytes_per_microsecond_per_multiprocessor = 50e3;
constexpr double exchange_microseconds = 0.06;   // a block barrier and a read of shared memory
constexpr double cluster_microseconds = 0.45;    // two cluster barriers
constexpr double instruction_microseconds = 0.0007;  // one dependent instruction of one thread

}  // namespace

std::int64_t bytes_moved(const Spec& spec, std::int64_t tokens) {
  std::int64_t bytes = 0;
  for (const Tensor& tensor : spec.inputs)
    bytes += static_cast<std::int64_t>(size_of(tensor.dtype)) * row_elements(spec, tensor.extent) *
             std::min<std::int64_t>(rows_held(tensor, tokens), tokens);
  for (const Output& output : spec.outputs)
    bytes += static_cast<std::int64_t>(size_of(output.dtype)) * row_elements(spec, output.extent) * tokens;
  return bytes;
}

double estimated_microseconds(const Plan& plan, std::int64_t tokens) {
  const double bytes = static_cast<double>(bytes_moved(plan.spec(), tokens));
  if (!plan.is_gpu()) return bytes / 1e4 / plan.cpu().width * (plan.cpu().streaming ? 1.01 : 1.0);
  const DeviceTraits& device = plan.device();
  const GpuSchedule& s = plan.gpu();
  const GpuShape shape = gpu_shape(plan);
  const double by_registers = device.registers_per_multiprocessor / (estimated_registers(plan) * shape.block_threads);
  const double by_threads = static_cast<double>(device.threads_per_multiprocessor) / shape.block_threads;
  const double by_shared = shape.shared_bytes ? static_cast<double>(device.shared_per_multiprocessor) / (shape.shared_bytes + 1024) : 32;
  const double resident = std::max(1.0, std::floor(std::min({by_registers, by_threads, by_shared, 32.0})));
  const double blocks = std::ceil(static_cast<double>(tokens) / s.rows_per_block) * s.blocks_per_row;
  const double waves = std::ceil(blocks / (resident * device.multiprocessors));
  const double busy = std::min(1.0, blocks / device.multiprocessors);
  const double rate = (bytes < static_cast<double>(device.l2_bytes) / 2 ? cached_bytes_per_microsecond_per_multiprocessor
                                                                        : bytes_per_microsecond_per_multiprocessor) *
                      device.multiprocessors * busy;
  const double traffic = bytes * (s.staging == Staging::reread ? 1.3 : 1.0) / rate * (s.streaming ? 0.99 : 1.0);
  double latency = memory_latency_microseconds * (s.early_weights ? 1.0 : 1.3);
  latency += instruction_microseconds * (static_cast<double>(shape.leaves_per_thread) * plan.fold().leaf * 6 + shape.segments_per_warp * 24 + 120);
  const auto pass_count = static_cast<double>(passes(plan.spec()).size());
  if (shape.warps_per_row > 1) latency += pass_count * exchange_microseconds * (1 + shape.block_threads / 1024.0);
  if (s.split == Split::cluster) latency += pass_count * cluster_microseconds;
  if (s.split == Split::workspace) latency += pass_count * (launch_microseconds + memory_latency_microseconds);
  const double occupancy = std::min(1.0, resident * shape.block_threads / device.threads_per_multiprocessor + 0.35);
  return launch_microseconds + std::max(traffic / occupancy, waves > 1 ? traffic / occupancy + 0.2 * latency : 0.0) + latency;
}

std::vector<std::size_t> by_cost(const std::vector<Plan>& plans, std::int64_t tokens) {
  std::vector<double> cost;
  for (const Plan& plan : plans) cost.push_back(estimated_microseconds(plan, tokens));
  std::vector<std::size_t> order(plans.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return cost[a] < cost[b]; });
  return order;
}

}  // namespace isofold
