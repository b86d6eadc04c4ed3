#include <isofold/codegen/softmax.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <cmath>

#include "row_length.hpp"

namespace isofold {
namespace {

/// power / total as a statement for an output of dtype `y`. The product with the rounded inverse is up to 1.5 units off, which 8
/// and 16 bits hide. For an f32 y the inverse goes on in `rest`, what its rounding took: half a unit, for one more operation
/// an element.
std::string quotient(std::string_view y) {
  if (y != name_of(DType::f32)) return fmt::format("y: {} = mul(power, inverse)", y);
  return "rest = mul(inverse, fma(neg(total), inverse, 1)); y: f32 = fma(power, inverse, mul(power, rest))";
}

}  // namespace

Spec softmax(const SoftmaxOptions& options) {
  const std::string_view name = options.log ? "log_softmax" : "softmax";
  check_row_length(name, options.n);
  if (!std::isfinite(options.scale)) throw UsageError(fmt::format("{}: scale is {}, allowed is a finite number", name, options.scale));
  if (options.log && options.sink) throw UsageError("log_softmax: a sink belongs to softmax");
  std::string inputs = fmt::format("x: {}[row]", name_of(options.dtype));
  std::string z = "x";
  std::string body;
  if (options.scale != 1) z = fmt::format("mul({}, {})", z, options.scale);
  if (options.temperature) {
    inputs += ", temperature: f32[token]";
    z = fmt::format("div({}, temperature)", z);
  }
  if (options.length) {
    inputs += ", length: i32[token]";
    z = fmt::format("where(less(index, length), {}, -inf)", z);
  }
  if (z != "x") {
    body = fmt::format("z = {}; ", z);
    z = "z";
  }
  if (options.sink) inputs += ", sink: f32[token]";
  body += fmt::format("largest = {}; ", fmt::format(fmt::runtime(options.sink ? "max(reduce_max({}), sink)" : "reduce_max({})"), z));
  constexpr std::string_view exp = "exp_nonpositive";  // no element is above the largest
  const std::string y{name_of(options.output_dtype.value_or(options.dtype))};
  if (options.log)
    body += fmt::format("distance_up = sub({0}, largest); log_total = log(sum({1}(distance_up))); y: {2} = sub(distance_up, log_total)", z, exp, y);
  else
    body += fmt::format("power = {1}(sub({0}, largest)); total = {2}; inverse = div(1, total); {3}", z, exp,
                        options.sink ? "add(sum(power), exp_nonpositive(sub(sink, largest)))" : "sum(power)", quotient(y));
  return parse_spec(fmt::format("{} N={} ({}) {{ {} }}", name, options.n, inputs, body));
}

Spec cross_entropy(const CrossEntropyOptions& options) {
  check_row_length("cross_entropy", options.n);
  return parse_spec(fmt::format(
      "cross_entropy N={0} (x: {1}[row], target: i32[token]) {{ largest = reduce_max(x); "
      "shift = where(equal(largest, -inf), 0, largest); "
      "log_total = log(sum(exp_nonpositive(sub(x, shift)))); "
      "loss: f32 = where(less(target, 0i), 0, sub(log_total, sub(at(x, target), shift))); "
      "logsumexp: f32 = where(equal(largest, inf), inf, add(log_total, shift)) }}",
      options.n, name_of(options.dtype)));
}

}  // namespace isofold
