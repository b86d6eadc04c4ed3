#pragma once
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/spec.hpp>
#include <isofold/export.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace ISOFOLD_API isofold {

/// One tensor of a call: first element, and for rows and numbers per token the distance between them (between groups of rows,
/// where they lie in groups), in elements.
struct ConstView {
  const void* data = nullptr;
  std::int64_t row_stride = 0;
};
struct View {
  void* data = nullptr;
  std::int64_t row_stride = 0;
};

/// The oracle: computes `tokens` rows by walking Spec and Fold literally, in plain C++ (no emitter, LLVM or CUDA).
/// `inputs` and `outputs` are in the Spec's order; an output may be the very buffer of an input. Thread-safe. The
/// result does not depend on the calling thread's rounding mode or flush-to-zero bits.
void interpret(const Spec& spec, const Fold& fold, std::int64_t tokens, std::span<const ConstView> inputs,
               std::span<const View> outputs);

/// Exact conversions in integer code: round to nearest even with subnormals; NaN becomes the canonical NaN.
std::uint16_t to_bf16(float value);
std::uint16_t to_f16(float value);
std::uint8_t to_e4m3(float value);  // saturated at 448
std::int8_t to_i8(float value);     // saturated; NaN becomes 0
float from_bf16(std::uint16_t bits);
float from_f16(std::uint16_t bits);
float from_e4m3(std::uint8_t bits);

}  // namespace isofold
