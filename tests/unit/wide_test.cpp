// Specs of f64: the interpreter against a recursion of its own over the same tree.
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/interpreter.hpp>
#include <isofold/codegen/spec.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <vector>

#include "support/random.hpp"

using namespace isofold;

namespace {

/// The sum of the chains of `values` under the fold, a chain made by `add`.
double folded(const Fold& fold, const std::vector<double>& values, const std::function<double(double, double)>& add) {
  const auto n = static_cast<std::int64_t>(values.size());
  const std::int64_t per_segment = leaves_per_segment(fold, n);
  const std::function<std::optional<double>(int, int, int)> lanes = [&](int segment, int lane, int count) -> std::optional<double> {
    if (count > 1) {
      const auto low = lanes(segment, lane, count / 2), high = lanes(segment, lane + fold.lanes / count, count / 2);
      return low && high ? std::optional(*low + *high) : low ? low : high;
    }
    std::optional<double> chain;
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t leaf = i / fold.leaf;
      if (leaf / per_segment != segment || leaf % per_segment % fold.lanes != lane) continue;
      const double value = values[static_cast<std::size_t>(i)];
      chain = chain ? add(*chain, value) : add(-0.0, value);
    }
    return chain;
  };
  const std::function<std::optional<double>(int, int)> segments = [&](int first, int count) -> std::optional<double> {
    if (count == 1) return lanes(first, 0, fold.lanes);
    const auto low = segments(first, count / 2), high = segments(first + count / 2, count / 2);
    return low && high ? std::optional(*low + *high) : low ? low : high;
  };
  return segments(0, fold.segments).value();
}

}  // namespace

TEST_CASE("sums, sums of squares and extremes of binary64 rows") {
  const Spec spec = parse_spec(
      "wide N=777 (x: f64[row]) { total: f64 = sum(x); squares: f64 = sum(mul(x, x)); high: f64 = reduce_max(x); low: f64 = reduce_min(x) }");
  std::vector<double> x(777);
  testing::Random random(5);
  for (double& value : x) value = std::ldexp(static_cast<double>(random.bits() >> 11) - 0x1p52, static_cast<int>(random.below(40)) - 20);
  for (const Fold& fold : {default_fold(spec), Fold{2, 32, 4}, Fold{1, 8, 16}, Fold{4, 4, 1}}) {
    double total = 0, squares = 0, high = 0, low = 0;
    const ConstView input{x.data(), 777};
    const std::vector<View> outputs{{&total, 1}, {&squares, 1}, {&high, 1}, {&low, 1}};
    interpret(spec, fold, 1, {&input, 1}, outputs);
    CHECK(total == folded(fold, x, [](double chain, double value) { return chain + value; }));
    CHECK(squares == folded(fold, x, [](double chain, double value) { return std::fma(value, value, chain); }));
    CHECK(high == *std::max_element(x.begin(), x.end()));
    CHECK(low == *std::min_element(x.begin(), x.end()));
  }
}

TEST_CASE("every NaN of f64 is stored as one") {
  const Spec spec = parse_spec("wide N=2 (x: f64[row]) { y: f64 = sum(x); z: f64 = reduce_min(x) }");
  const std::vector<double> x{1, std::nan("123")};
  double y = 0, z = 0;
  const ConstView input{x.data(), 2};
  const std::vector<View> outputs{{&y, 1}, {&z, 1}};
  interpret(spec, default_fold(spec), 1, {&input, 1}, outputs);
  for (const double value : {y, z}) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, 8);
    CHECK(bits == 0x7fffffffffffffff);
  }
}
