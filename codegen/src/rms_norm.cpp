#include <isofold/codegen/rms_norm.hpp>

#include <fmt/format.h>

#include "norm_head.hpp"
#include "quantize_text.hpp"

namespace isofold {

Spec rms_norm(const RmsNormOptions& options) {
  auto [inputs, h, body, y, residual, column, row, y_row] = norm_head("rms_norm", options);
  body += fmt::format("total = sum(mul({0}, {0})); r = {1}; ", h, inverse_root(options.quantize ? "" : y, fmt::format("add(div(total, N), {})", options.eps)));
  // With a scale of the row's own r comes last, so that the largest magnitude is found in the same pass as the sum.
  const bool has_row_scale = options.quantize && !options.quantize->static_scale && !options.quantize->scale_input;
  std::string result = has_row_scale ? h : fmt::format("mul({}, r)", h);
  if (options.gated) inputs += fmt::format(", gate: {}{}", name_of(options.dtype), row);
  if (options.weight) {
    inputs += fmt::format(", weight: {}", column);
    if (options.weight_mode == WeightMode::after_cast) result = fmt::format("{}({})", y, result);
    result = fmt::format("mul({}, {})", result, options.weight_offset_one ? "add(weight, 1)" : "weight");
  }
  if (options.gated) result = fmt::format("mul({}, silu(gate))", result);
  if (options.quantize) {
    if (options.output_dtype || options.weight_mode == WeightMode::after_cast)
      throw UsageError("rms_norm: a quantised result has no other dtype that it is rounded to");
    inputs += quantized_input(*options.quantize);
    const bool is_named = result == h;
    if (!is_named) body += fmt::format("value = {}; ", result);
    body += quantized_output("rms_norm", *options.quantize, is_named ? h : "value", y_row, has_row_scale ? "r" : "");
  } else {
    body += fmt::format("y: {}{} = {}", y, y_row, result);
  }
  if (options.residual) body += fmt::format("; residual_out: {}{} = h", residual, y_row);
  return parse_spec(fmt::format("{}{}rms_norm{} N={} ({}) {{ {} }}", options.residual ? "add_" : "", options.gated ? "gated_" : "",
                                options.quantize ? "_quant" : "", options.n, inputs, body));
}

}  // namespace isofold
