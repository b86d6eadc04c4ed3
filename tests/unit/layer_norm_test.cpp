#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/interpreter.hpp>
#include <isofold/codegen/layer_norm.hpp>
#include <isofold/error.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace isofold;

namespace {

/// Largest difference from layer norm in binary64, in units of binary32's last place at 1: y is about 1.
double worst_error(std::int64_t n, double offset, double spread) {
  const Spec spec = layer_norm({.n = n, .dtype = DType::f32, .weight = false, .bias = false});
  std::vector<float> x(static_cast<std::size_t>(n)), y(x.size());
  std::uint64_t state = 1;
  for (float& value : x) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    value = static_cast<float>(offset + spread * (static_cast<double>(state >> 40) / (1 << 24) - 0.5));
  }
  const ConstView input{x.data(), n};
  const View output{y.data(), n};
  interpret(spec, default_fold(spec), 1, {&input, 1}, {&output, 1});
  double mean = 0, variance = 0;
  for (float value : x) mean += value;
  mean /= static_cast<double>(n);
  for (float value : x) variance += (value - mean) * (value - mean);
  variance /= static_cast<double>(n);
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    worst = std::max(worst, std::abs(y[i] - (x[i] - mean) / std::sqrt(variance + 1e-5)));
  return worst / 0x1p-23;
}

}  // namespace

TEST_CASE("layer_norm's text names its variants") {
  CHECK(text(layer_norm({.n = 8})) ==
        "layer_norm N=8 (x: bf16[row], weight: bf16[column], bias: bf16[column]) { total = sum(x); centre = div(total, 8); d = sub(x, "
        "centre); squares = sum(mul(d, d)); rest = div(sum(d), 8); variance = max(sub(div(squares, 8), mul(rest, rest)), 0); r = div(1, "
        "sqrt(add(variance, 1e-05))); y: bf16 = fma(mul(sub(d, rest), r), weight, bias) }");
  CHECK(layer_norm({.n = 8, .residual = true}).op == "add_layer_norm");
  CHECK(layer_norm({.n = 8, .weight = false, .bias = false}).inputs.size() == 1);
  CHECK(layer_norm({.n = 8, .bias = false}).inputs.size() == 2);
  CHECK_THROWS_AS(layer_norm({.n = -1}), UsageError);
  CHECK_THROWS_AS(layer_norm({.n = 8, .eps = -1}), UsageError);
  for (const bool residual : {false, true}) {
    const Spec spec = layer_norm({.n = 100, .residual = residual});
    CHECK(parse_spec(text(spec)) == spec);
    CHECK(reductions(spec).size() == 3);
    CHECK(passes(spec).size() == 2);
  }
}

TEST_CASE("layer_norm is near its real value, with a large common offset, too") {
  for (const std::int64_t n : {16, 1000, 8192}) {
    CHECK(worst_error(n, 0, 2) < 4);
    // With the mean's own rounding left in it would be off by hundreds, with mean(x^2) - mean(x)^2 by hundreds of thousands.
    CHECK(worst_error(n, 10000, 100) < 4);
  }
}
