#include "register_estimate.hpp"

#include <algorithm>

#include "carry.hpp"

namespace isofold {

int estimated_registers(const Plan& plan) {
  const GpuShape shape = gpu_shape(plan);
  const GpuSchedule& s = plan.gpu();
  int carried = 0, columns = 0, rows = 0;
  for (const Carried& value : carried_values(plan.spec())) carried += words_per_leaf(value.dtype, plan.fold());
  for (const Tensor& tensor : plan.spec().inputs)
    (tensor.extent == Extent::column ? columns : rows) += words_per_leaf(tensor.dtype, plan.fold());
  // Fused add of 8192 bf16 on sm_90 without a bound, 8 to 64 elements per thread: 26, 40, 64 and 94 registers with late
  // weights, 30, 56, 68 and 126 with early ones.
  const int held = s.staging == Staging::registers ? std::max(rows, carried) * shape.leaves_per_thread : 48;
  const int early = s.early_weights ? columns * shape.leaves_per_thread : 0;
  const int masks = plan.spec().n % plan.fold().leaf != 0 || s.vector < plan.fold().leaf ? 16 : 0;
  return 22 + held + early + masks + shape.segments_per_warp * shape.lanes_per_thread / 2;
}

}  // namespace isofold
