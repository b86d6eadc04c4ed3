#pragma once
#include <isofold/codegen/cpu_backend.hpp>

#include <memory>

#include "cpu_pool.hpp"
#include "kernel.hpp"

namespace isofold {

/// A CPU plan in this process. A launch shares its rows out over the pool's threads and returns when all are
/// done.
class HostKernel final : public Kernel {
 public:
  HostKernel(const Plan& plan, std::shared_ptr<const KernelImage> image, std::shared_ptr<CpuPool> pool);

  void launch(CUstream_st* stream, const Parameters& parameters, std::int64_t tokens,
              void* workspace = nullptr) const override;

 private:
  CpuKernel kernel_;
  std::shared_ptr<CpuPool> pool_;
  std::int64_t rows_per_share_;
};

}  // namespace isofold
