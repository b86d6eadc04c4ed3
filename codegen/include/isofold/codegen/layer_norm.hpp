#pragma once
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/codegen/spec.hpp>
#include <isofold/export.hpp>

#include <cstdint>
#include <optional>

namespace ISOFOLD_API isofold {

/// y = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps) * w + b over rows of n elements; with `residual`, h = x + residual
/// takes x's place and is stored as residual_out. The mean is a sum under the fold; what its rounding leaves of the centred row is
/// summed beside their squares and taken off, from the variance too: rows with a large common offset keep their accuracy.
struct LayerNormOptions {
  std::int64_t n = 0;
  DType dtype = DType::bf16;                 // of x
  std::optional<DType> output_dtype = {};    // of y; x's when absent
  bool weight = true;
  bool bias = true;                          // added after the weight, in one rounding with it
  std::optional<DType> weight_dtype = {};    // of weight and bias; x's when absent
  bool residual = false;
  std::optional<DType> residual_dtype = {};  // of residual and residual_out; x's when absent
  ResidualMode residual_mode = ResidualMode::f32_sum;
  int groups = 1;                            // as of RmsNormOptions: a group norm
  bool shared_weight = false;                // likewise
  float eps = 1e-5f;                         // finite, >= 0
  bool operator==(const LayerNormOptions&) const = default;
};

/// The Spec named layer_norm or add_layer_norm. Inputs in order: x, [residual], [weight], [bias]; outputs: y,
/// [residual_out]. Throws UsageError for n outside 0..max_row_length or an eps that is negative or not finite.
Spec layer_norm(const LayerNormOptions& options);

}  // namespace isofold
