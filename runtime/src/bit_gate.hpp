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
/// random bits, magnitudes over many powers of two, subnormals, -0.0, infinities, NaNs; and, where f32 numbers per token or in all
/// are inputs (scales, temperatures, sinks), with each of these 0, infinite, NaN and the like. The oracle runs once,
/// in the constructor. A Spec that stores nothing but 16-bit results hides most differences between two reduction trees:
/// to be sure of a schedule's tree, check it on with_reductions_shown(spec), too.
class BitGate {
 public:
  BitGate(const KernelTarget& target, const Spec& spec, const Fold& fold);
  BitGate(const BitGate&) = delete;
  BitGate& operator=(const BitGate&) = delete;

  /// Launches the kernel over several token counts: 1, both sides of its block's rows, a prime, all rows; and over those with hard
  /// numbers.
  /// Empty when every output byte is the oracle's and no byte behind the outputs changed; else the first
  /// difference in words.
  std::string check(const Kernel& kernel);

 private:
  /// Some rows and what the oracle says of them, on the host and where kernels run.
  struct Case {
    std::int64_t rows = 0;
    std::vector<std::vector<std::byte>> inputs = {};    // `rows` rows, those of a column, or one number
    std::vector<std::vector<std::byte>> expected = {};  // `rows` rows
    std::int64_t capacity = 0;                          // rows of the buffers; row i holds row i mod `rows`
    std::vector<WorkBuffer> input_buffers = {}, output_buffers = {};
  };

  Case ordinary_case(std::int64_t rows) const;
  Case number_case(int number, std::int64_t rows) const;
  void ask_oracle(Case& some, const Fold& fold) const;
  void reserve(Case& some, std::int64_t rows) const;
  std::string check(Case& some, const Kernel& kernel, std::int64_t tokens);

  WorkQueue queue_;
  Spec spec_;
  ArgumentLayout layout_;
  std::vector<Case> cases_;  // the first for every token count
  std::vector<std::byte> actual_;
};

}  // namespace isofold
