#pragma once
#include <isofold/codegen/spec.hpp>
#include <isofold/export.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ISOFOLD_API isofold {

/// How a result is stored in 8 bits. With a scale of the row's own, scale = max(amax / largest, floor), where amax is the
/// row's largest magnitude and largest that of the dtype (448 or 127), and y = value * (1 / scale), rounded and saturated.
/// A row of zeros has the floor as its scale; a NaN in the row makes the scale NaN; an infinity makes it infinite, and every
/// finite element 0. In NaN rows and at infinities y is the dtype's NaN (i8: 0).
struct Quantize {
  DType dtype = DType::e4m3;                 // e4m3 or i8
  std::optional<float> static_scale = {};    // positive and finite: y = value * (1 / static_scale), no scale is stored
  bool scale_input = false;                  // likewise, with a scale that each call passes: an input `scale` of one binary32
  bool operator==(const Quantize&) const = default;
};
/// The least scale of a row, those of vLLM's kernels (csrc/quantization: min_scaling_factor): 1 / (448 * 512) and 2^-23.
inline constexpr float e4m3_scale_floor = 1.0f / (448.0f * 512.0f);
inline constexpr float i8_scale_floor = 0x1p-23f;

/// y = silu(gate) * up over rows of n elements, quantised.
struct SiluAndMulQuantOptions {
  std::int64_t n = 0;
  DType dtype = DType::bf16;  // of gate and up
  Quantize quantize;
  bool operator==(const SiluAndMulQuantOptions&) const = default;
};

/// The Spec named silu_and_mul_quant. Inputs: gate, up [tokens, n] (two views of one tensor with a row stride of 2 n are
/// usual), [scale]; outputs: y [tokens, n] and, unless it is static, scale [tokens] f32. Throws UsageError for n outside
/// 0..max_row_length, another dtype of y and a static scale that is not positive and finite.
Spec silu_and_mul_quant(const SiluAndMulQuantOptions& options);

}  // namespace isofold
