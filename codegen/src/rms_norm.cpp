#include <isofold/codegen/rms_norm.hpp>

#include <fmt/format.h>

#include "norm_head.hpp"
#include "quantize_text.hpp"

namespace isofold {

Spec rms_norm(const RmsNormOptions& options) {
  auto [inputs, h, body, y, residual, column, row, y_row] = norm_head("rms_norm", options);
  body += fmt::format("total = sum(mul({0}, {0})); r = {1}; ", h, inverse_root(options.quantize ? "" : y, fmt::format("add(div(total, N), {})", options.eps)));
  std::string result = fmt::format("mul({}, r)", h);
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
    body += fmt::format("value = {}; {}", result, quantized_output("rms_norm", *options.quantize, "value", y_row));
  } else {
    body += fmt::format("y: {}{} = {}", y, y_row, result);
  }
  if (options.residual) body += fmt::format("; residual_out: {}{} = h", residual, y_row);
  return parse_spec(fmt::format("{}{}rms_norm{} N={} ({}) {{ {} }}", options.residual ? "add_" : "", options.gated ? "gated_" : "",
                                options.quantize ? "_quant" : "", options.n, inputs, body));
}

}  // namespace isofold
