#include <fmt/format.h>

#include <algorithm>

#include "cuda_kernel_writer.hpp"

// Inputs that are masked where they were loaded. Registers and shared memory hold their words masked.

namespace isofold {

bool CudaKernelWriter::is_masked(const std::vector<int>& rows) const {
  return std::any_of(masks_.begin(), masks_.end(),
                     [&](const MaskedInput& mask) { return std::find(rows.begin(), rows.end(), mask.tensor) != rows.end(); });
}

/// Masks the leaf of those of these tensors that are masked: where it is first used, so that no load waits for a limit.
void CudaKernelWriter::write_masks(const std::vector<int>& rows) {
  for (const MaskedInput& mask : masks_) {
    if (std::find(rows.begin(), rows.end(), mask.tensor) == rows.end()) continue;
    const Tensor& t = spec_.inputs[static_cast<std::size_t>(mask.tensor)];
    // The leaf's elements, padded ones too, have numbers of 32 bits where the leaf is live.
    code_.line("{}{}({}_words{}, {}element, {}, 0x{:08x}u);  // {}", masked() ? "if (live) " : "",
               helpers_.use(size_of(t.dtype) == 2 ? "mask_16" : "mask_32"), t.name, slot(), long_row_ ? "(int)" : "",
               expression_.print(mask.limit), mask.filler, mask.constant);
  }
}

}  // namespace isofold
