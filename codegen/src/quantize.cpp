#include <isofold/codegen/quantize.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <cmath>

#include "quantize_text.hpp"
#include "row_length.hpp"

namespace isofold {

std::string quantized_input(const Quantize& quantize) { return quantize.scale_input ? ", scale: f32[scalar]" : ""; }

std::string quantized_output(std::string_view operation, const Quantize& quantize, std::string_view value, std::string_view extent,
                             std::string_view factor) {
  if (quantize.dtype != DType::e4m3 && quantize.dtype != DType::i8)
    throw UsageError(fmt::format("{}: results are quantised to e4m3 or i8, not to {}", operation, name_of(quantize.dtype)));
  const std::string_view dtype = name_of(quantize.dtype);
  if (quantize.scale_input && quantize.static_scale)
    throw UsageError(fmt::format("{}: a scale is either part of the Spec or an input", operation));
  if (quantize.scale_input) return fmt::format("inverse = div(1, scale); y: {}{} = mul({}, inverse)", dtype, extent, value);
  if (const auto scale = quantize.static_scale) {
    if (!std::isfinite(*scale) || *scale <= 0 || !std::isfinite(1 / *scale))
      throw UsageError(fmt::format("{}: the scale is {}, allowed is a positive finite number with a finite inverse", operation, *scale));
    return fmt::format("y: {}{} = mul({}, {})", dtype, extent, value, 1 / *scale);
  }
  const bool e4m3 = quantize.dtype == DType::e4m3;
  const std::string amax = factor.empty() ? "amax" : fmt::format("mul(amax, {})", factor);
  return fmt::format("amax = reduce_max(abs({0})); row_scale = max(div({5}, {1}), {2}); inverse = div({6}, row_scale); "
                     "y: {3}{4} = mul({0}, inverse); scale: f32 = row_scale",
                     value, e4m3 ? 448 : 127, e4m3 ? e4m3_scale_floor : i8_scale_floor, dtype, extent, amax, factor.empty() ? "1" : factor);
}

Spec silu_and_mul_quant(const SiluAndMulQuantOptions& options) {
  check_row_length("silu_and_mul_quant", options.n);
  const std::string_view dtype = name_of(options.dtype);
  return parse_spec(fmt::format("silu_and_mul_quant N={} (gate: {}[row], up: {}[row]{}) {{ gated = mul(silu(gate), up); {} }}",
                                options.n, dtype, dtype, quantized_input(options.quantize), quantized_output("silu_and_mul_quant", options.quantize, "gated")));
}

}  // namespace isofold
