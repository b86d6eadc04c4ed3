#include <isofold/codegen/layer_norm.hpp>

#include <fmt/format.h>

#include "norm_head.hpp"

namespace isofold {

Spec layer_norm(const LayerNormOptions& options) {
  auto [inputs, h, body, y, residual, column, row, y_row] = norm_head("layer_norm", options);
  body += fmt::format(
      "total = sum({0}); centre = div(total, N); d = sub({0}, centre); squares = sum(mul(d, d)); "
      "rest = div(sum(d), N); variance = max(sub(div(squares, N), mul(rest, rest)), 0); "
      "r = {1}; ",
      h, inverse_root(y, fmt::format("add(variance, {})", options.eps)));
  std::string result = "mul(sub(d, rest), r)";
  if (options.weight) inputs += fmt::format(", weight: {}", column);
  if (options.bias) inputs += fmt::format(", bias: {}", column);
  if (options.weight && options.bias) result = fmt::format("fma({}, weight, bias)", result);
  else if (options.weight) result = fmt::format("mul({}, weight)", result);
  else if (options.bias) result = fmt::format("add({}, bias)", result);
  body += fmt::format("y: {}{} = {}", y, y_row, result);
  if (options.residual) body += fmt::format("; residual_out: {}{} = h", residual, y_row);
  return parse_spec(fmt::format("{} N={} ({}) {{ {} }}", options.residual ? "add_layer_norm" : "layer_norm", options.n,
                                inputs, body));
}

}  // namespace isofold
