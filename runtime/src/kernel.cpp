#include "kernel.hpp"

namespace isofold {

std::size_t Kernel::workspace_bytes(std::int64_t tokens) const {
  if (!plan_.is_gpu()) return 0;
  return static_cast<std::size_t>(tokens) *
         static_cast<std::size_t>(gpu_shape(plan_).workspace_floats_per_row) * sizeof(float);
}

}  // namespace isofold
