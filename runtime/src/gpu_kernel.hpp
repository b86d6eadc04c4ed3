#pragma once
#include "cuda_handles.hpp"
#include "kernel.hpp"

namespace isofold {

/// A GPU plan loaded on one device.
class GpuKernel final : public Kernel {
 public:
  /// Loads the cubin and its functions now, so that a launch has nothing left to load.
  GpuKernel(const Plan& plan, std::shared_ptr<const KernelImage> image, ContextPointer context);

  void launch(CUstream_st* stream, const Parameters& parameters, std::int64_t tokens,
              void* workspace = nullptr) const override;

  /// Of each kernel, in launch order.
  const std::vector<DeviceFunction>& functions() const { return functions_; }
  LaunchShape shape(std::int64_t tokens) const;

 private:
  Module module_;
  std::vector<DeviceFunction> functions_;
  LaunchShape shape_;  // without the grid
  bool needs_workspace_ = false;
};

}  // namespace isofold
