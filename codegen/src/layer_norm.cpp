#include <isofold/codegen/layer_norm.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <cmath>

namespace isofold {

Spec layer_norm(const LayerNormOptions& options) {
  if (options.n < 1 || options.n > max_row_length)
    throw UsageError(fmt::format("layer_norm: n is {}, allowed is 1 to {}", options.n, max_row_length));
  if (!std::isfinite(options.eps) || options.eps < 0)
    throw UsageError(fmt::format("layer_norm: eps is {}, allowed is a finite number >= 0", options.eps));
  const std::string_view x = name_of(options.dtype);
  const std::string_view y = name_of(options.output_dtype.value_or(options.dtype));
  const std::string_view residual = name_of(options.residual_dtype.value_or(options.dtype));
  const std::string_view weight = name_of(options.weight_dtype.value_or(options.dtype));

  std::string inputs = fmt::format("x: {}[row]", x);
  std::string h = "x";
  std::string body;
  if (options.residual) {
    inputs += fmt::format(", residual: {}[row]", residual);
    body += options.residual_mode == ResidualMode::f32_sum ? "h = add(x, residual); "
                                                           : fmt::format("h = {}(add(x, residual)); ", residual);
    h = "h";
  }
  body += fmt::format(
      "total = sum({}); centre = mul(-1, div(total, N)); d = add({}, centre); squares = sum(mul(d, d)); "
      "r = div(1, sqrt(add(div(squares, N), {}))); ",
      h, h, options.eps);
  std::string result = "mul(d, r)";
  if (options.weight) inputs += fmt::format(", weight: {}[column]", weight);
  if (options.bias) inputs += fmt::format(", bias: {}[column]", weight);
  if (options.weight && options.bias) result = fmt::format("fma({}, weight, bias)", result);
  else if (options.weight) result = fmt::format("mul({}, weight)", result);
  else if (options.bias) result = fmt::format("add({}, bias)", result);
  body += fmt::format("y: {} = {}", y, result);
  if (options.residual) body += fmt::format("; residual_out: {} = h", residual);
  return parse_spec(fmt::format("{} N={} ({}) {{ {} }}", options.residual ? "add_layer_norm" : "layer_norm", options.n,
                                inputs, body));
}

}  // namespace isofold
