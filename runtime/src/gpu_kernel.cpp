#include "gpu_kernel.hpp"

#include <isofold/error.hpp>

#include <array>

namespace isofold {
namespace {

constexpr int portable_cluster_size = 8;
/// Older drivers do not record dependent launches into graphs. Without the attribute the kernel's wait
/// returns at once.
constexpr int first_driver_that_captures_dependent_launches = 12030;

}  // namespace

GpuKernel::GpuKernel(const Plan& plan, std::shared_ptr<const KernelImage> image, ContextPointer context)
    : Kernel(plan, std::move(image)), module_(context, this->image().code) {
  const GpuShape shape = gpu_shape(plan);
  const GpuSchedule& schedule = plan.gpu();
  const auto blocks_per_row = static_cast<unsigned>(schedule.blocks_per_row);
  shape_.block[0] = static_cast<unsigned>(shape.block_threads);
  if (schedule.split == Split::cluster) shape_.cluster[0] = blocks_per_row;
  shape_.shared_bytes = static_cast<unsigned>(shape.staging_bytes);
  shape_.dependent_launch = schedule.dependent_launch &&
                            context->driver().version() >= first_driver_that_captures_dependent_launches;
  needs_workspace_ = needs_workspace(plan);
  for (const std::string& entry : this->image().entries)
    functions_.push_back(
        module_.function(entry, shape_.shared_bytes, shape_.cluster[0] > portable_cluster_size));
}

LaunchShape GpuKernel::shape(std::int64_t tokens) const {
  LaunchShape shape = shape_;
  shape.grid[0] = grid_blocks(plan(), tokens);
  return shape;
}

void GpuKernel::launch(CUstream_st* stream, const Parameters& parameters, std::int64_t tokens,
                       void* workspace) const {
  const LaunchShape launch_shape = shape(tokens);
  std::array<void*, std::tuple_size_v<decltype(parameters.values)> + 1> pointers;
  for (std::size_t i = 0; i < parameters.count; ++i)
    pointers[i] = const_cast<std::uint64_t*>(&parameters.values[i]);
  if (needs_workspace_) {
    if (workspace == nullptr) throw InternalError("a kernel that needs a workspace was launched without one");
    pointers[parameters.count] = &workspace;
  }
  for (const DeviceFunction& function : functions_) function.launch(stream, launch_shape, pointers.data());
}

}  // namespace isofold
