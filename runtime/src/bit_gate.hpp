#pragma once
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/spec.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "kernel.hpp"
#include "work_buffer.hpp"

namespace isofold {

/// Compares kernels of one (Spec, Fold) with the oracle, raw bytes, over ordinary and adversarial rows:
/// random bits, magnitudes over many powers of two, subnormals, -0.0, infinities, NaNs. The oracle runs once,
/// in the constructor. A Spec that stores nothing but 16-bit results hides most differences between two reduction trees:
/// to be sure of a schedule's tree, check it on with_reductions_shown(spec), too.
class BitGate {
 public:
  BitGate(const KernelTarget& target, const Spec& spec, const Fold& fold);
  BitGate(const BitGate&) = delete;
  BitGate& operator=(const BitGate&) = delete;

  /// Launches the kernel over several token counts: 1, both sides of its block's rows, a prime, all rows.
  /// Empty when every output byte is the oracle's and no byte behind the outputs changed; else the first
  /// difference in words.
  std::string check(const Kernel& kernel);

 private:
  void reserve(std::int64_t rows);
  std::string check(const Kernel& kernel, std::int64_t tokens);

  WorkQueue queue_;
  Spec spec_;
  ArgumentLayout layout_;
  std::int64_t oracle_rows_;
  std::int64_t capacity_ = 0;  // rows of the buffers; row i holds oracle row i mod oracle_rows_
  std::vector<std::vector<std::byte>> inputs_;    // oracle_rows_ rows, or one of a column
  std::vector<std::vector<std::byte>> expected_;  // oracle_rows_ rows
  std::vector<WorkBuffer> input_buffers_, output_buffers_;
  std::vector<std::byte> actual_;
};

}  // namespace isofold
