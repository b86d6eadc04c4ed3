#pragma once
#include <isofold/codegen/quantize.hpp>
#include <isofold/codegen/spec.hpp>
#include <isofold/export.hpp>

#include <cstdint>
#include <optional>

namespace ISOFOLD_API isofold {

/// Where the weight multiplies.
enum class WeightMode : std::uint8_t {
  f32,         // y = cast((h * r) * w): one rounding (vLLM, FlashInfer, torch.nn.RMSNorm in float)
  after_cast,  // y = cast(cast(h * r) * w): round to the output dtype first (Hugging Face LLaMA)
};

/// What a fused add normalises.
enum class ResidualMode : std::uint8_t {
  f32_sum,      // h = x + residual in binary32
  rounded_sum,  // h = the sum as it is stored, rounded to the residual's dtype
};

/// y = x / sqrt(mean(x^2) + eps) * w over rows of n elements; with `residual`, h = x + residual takes x's place and is
/// stored as residual_out.
struct RmsNormOptions {
  std::int64_t n = 0;
  DType dtype = DType::bf16;                // of x
  std::optional<DType> output_dtype = {};        // of y; x's when absent
  bool weight = true;
  std::optional<DType> weight_dtype = {};        // x's when absent
  WeightMode weight_mode = WeightMode::f32;
  bool weight_offset_one = false;           // multiply by (1 + w), as Gemma does
  bool residual = false;
  std::optional<DType> residual_dtype = {};      // of residual and residual_out; x's when absent
  ResidualMode residual_mode = ResidualMode::f32_sum;
  float eps = 1e-6f;                        // finite, >= 0
  int groups = 1;                           // pieces of a row, see below
  bool shared_weight = false;               // with groups: one weight of n elements for all of them
  bool gated = false;                       // y is multiplied by silu(gate), in binary32 before its rounding
  std::optional<Quantize> quantize = {};    // y is stored in 8 bits; goes with no output_dtype
  bool operator==(const RmsNormOptions&) const = default;
};

/// With `groups` rows of groups * n elements are normalised in pieces of n, each for itself: x, residual, gate, y and
/// residual_out are [rows, groups, n], where the row stride is that of the large rows, and count as rows * groups tokens; the
/// weight is [groups, n], or [n] with `shared_weight`. So are the heads of attention's queries and keys normalised inside the
/// rows that hold them all.
///
/// The Spec named rms_norm, with add_ or gated_ before it and _quant behind it as the options say. Inputs in order: x,
/// [residual], [gate], [weight], [scale]; outputs: y, [scale], [residual_out]. Throws UsageError for n outside 0..max_row_length, an eps
/// that is negative or not finite, and options that do not go together.
Spec rms_norm(const RmsNormOptions& options);

}  // namespace isofold
