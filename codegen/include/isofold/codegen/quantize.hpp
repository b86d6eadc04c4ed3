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
/// Norms take their factor r (1 / root of the mean square) out of it: with value = x * weight, scale = max(amax * r / largest,
/// floor) and y = value * (r / scale), so that amax and the mean square come from one pass.
/// A row of zeros has the floor as its scale; a NaN among the values makes the scale NaN and every y the dtype's NaN (i8: 0);
/// an infinite value makes it infinite, y NaN there (i8: 0) and a zero elsewhere. An infinity in a row that is normalised is
/// the first case: its norm is NaN. With a given scale infinite values saturate (e4m3: at +-448; i8: at 127 and -128), NaN is
/// NaN (i8: 0).
struct Quantize {
  DType dtype = DType::e4m3;                 // e4m3 or i8
  std::optional<float> static_scale = {};    // positive and finite, as its inverse: y = value * (1 / static_scale), no scale is stored
  /// Likewise, with a scale that each call passes: an input `scale` of one binary32. It is not checked: a negative one changes
  /// signs, NaN makes every y NaN (i8: 0), an infinite one zeros (of infinite values NaN; i8: 0); one whose inverse is infinite,
  /// 0 and subnormal numbers up to 2^-128 (either sign), saturates every value but a zero, which becomes NaN (i8: 0).
  bool scale_input = false;
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
/// 0..max_row_length, another dtype of y and a static scale that is not positive and finite or whose inverse is not.
Spec silu_and_mul_quant(const SiluAndMulQuantOptions& options);

}  // namespace isofold
