// What the named operators compute, against binary64.
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/interpreter.hpp>
#include <isofold/codegen/operators.hpp>
#include <isofold/codegen/quantize.hpp>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/codegen/softmax.hpp>
#include <isofold/error.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/random.hpp"

using namespace isofold;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();

const NamedOperator& named(std::string_view name) {
  for (const NamedOperator& one : named_operators())
    if (one.name == name) return one;
  throw std::logic_error("no such operator");
}

/// One row through a Spec of f32 inputs and outputs; i32 inputs are given as whole numbers.
std::map<std::string, std::vector<float>> computed(const Spec& spec, const std::map<std::string, std::vector<float>>& values) {
  std::vector<std::vector<std::int32_t>> integers(spec.inputs.size());
  std::vector<ConstView> inputs;
  for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
    const std::vector<float>& given = values.at(spec.inputs[i].name);
    const void* data = given.data();
    if (spec.inputs[i].dtype == DType::i32) {
      integers[i].assign(given.begin(), given.end());
      data = integers[i].data();
    }
    inputs.push_back({data, static_cast<std::int64_t>(given.size())});
  }
  std::map<std::string, std::vector<float>> out;
  std::vector<View> outputs;
  for (const Output& output : spec.outputs) {
    REQUIRE(output.dtype == DType::f32);
    out[output.name].resize(static_cast<std::size_t>(row_elements(spec, output.extent)));
    outputs.push_back({out[output.name].data(), row_elements(spec, output.extent)});
  }
  interpret(spec, default_fold(spec), 1, inputs, outputs);
  return out;
}

std::vector<float> row(std::size_t n, double offset, double spread) {
  testing::Random random(n);
  std::vector<float> x(n);
  for (float& value : x) value = static_cast<float>(offset + spread * (static_cast<double>(random.bits() >> 40) / (1 << 24) - 0.5));
  return x;
}

}  // namespace

TEST_CASE("reductions to one number") {
  const std::vector<float> x = row(1000, 0.3, 4);
  double sum = 0, squares = 0, high = -1e9, low = 1e9, magnitude = 0, exponentials = 0;
  for (const double value : x) {
    sum += value;
    squares += value * value;
    high = std::max(high, value);
    low = std::min(low, value);
    magnitude = std::max(magnitude, std::abs(value));
    exponentials += std::exp(value);
  }
  const auto result = [&](const char* name) { return static_cast<double>(computed(named(name).make(1000, DType::f32), {{"x", x}}).at("y")[0]); };
  CHECK(result("sum") == doctest::Approx(sum).epsilon(1e-6));
  CHECK(result("mean") == doctest::Approx(sum / 1000).epsilon(1e-6));
  CHECK(result("max") == high);
  CHECK(result("min") == low);
  CHECK(result("amax") == magnitude);
  CHECK(result("sum_of_squares") == doctest::Approx(squares).epsilon(1e-6));
  CHECK(result("norm2") == doctest::Approx(std::sqrt(squares)).epsilon(1e-6));
  CHECK(result("logsumexp") == doctest::Approx(std::log(exponentials)).epsilon(1e-6));
}

TEST_CASE("logsumexp of infinities") {
  const auto result = [&](std::vector<float> x) {
    return computed(named("logsumexp").make(static_cast<std::int64_t>(x.size()), DType::f32), {{"x", x}}).at("y")[0];
  };
  CHECK(result({-infinity, -infinity, -infinity}) == -infinity);
  CHECK(result({1, infinity, 3}) == infinity);
  CHECK(result({-infinity, 2, -infinity}) == 2);
  CHECK(std::isnan(result({1, nan_value, infinity})));
}

TEST_CASE("softmax and log_softmax, with large offsets and near ties") {
  for (const double offset : {0.0, 1000.0, -30000.0})
    for (const double spread : {20.0, 1e-3}) {
      const std::vector<float> x = row(777, offset, spread);
      const double largest = *std::max_element(x.begin(), x.end());
      double total = 0;
      for (const double value : x) total += std::exp(value - largest);
      const auto y = computed(softmax({.n = 777, .dtype = DType::f32}), {{"x", x}}).at("y");
      const auto log_y = computed(softmax({.n = 777, .dtype = DType::f32, .log = true}), {{"x", x}}).at("y");
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double exact = std::exp(x[i] - largest) / total;
        // x - max is rounded: an error of half a unit of its last place, which exp makes a relative one.
        CHECK(std::abs(y[i] - exact) <= (4e-7 + 6e-8 * (largest - x[i])) * exact + 1e-44);
        CHECK(std::abs(log_y[i] - (x[i] - largest - std::log(total))) <= 2e-6);
      }
    }
}

TEST_CASE("scale, temperature, length and sink of softmax") {
  const Spec spec = softmax({.n = 5, .dtype = DType::f32, .scale = 0.5f, .temperature = true, .length = true, .sink = true});
  const std::vector<float> x{1, 2, 3, 4, 5};
  for (const float length : {-3.0f, 0.0f, 3.0f, 5.0f, 9.0f}) {
    const auto y = computed(spec, {{"x", x}, {"temperature", {2}}, {"length", {length}}, {"sink", {0.25f}}}).at("y");
    double total = std::exp(0.25);
    for (int i = 0; i < 5; ++i)
      if (static_cast<float>(i) < length) total += std::exp(x[static_cast<std::size_t>(i)] / 4.0);
    for (std::size_t i = 0; i < 5; ++i)
      CHECK(y[i] == doctest::Approx(static_cast<float>(i) < length ? std::exp(x[i] / 4.0) / total : 0).epsilon(1e-6));
  }
  // Nothing is left of a row: NaN, as the formula gives.
  const auto none = computed(softmax({.n = 2, .dtype = DType::f32, .length = true}), {{"x", {1, 2}}, {"length", {0}}}).at("y");
  CHECK(std::isnan(none[0]));
}

TEST_CASE("cross entropy: a loss per row, ignored and wrong targets") {
  const std::vector<float> x{1, 2, 3, 0.5f};
  const Spec spec = cross_entropy({.n = 4, .dtype = DType::f32});
  double total = 0;
  for (const double value : x) total += std::exp(value);
  const auto loss = [&](float target) { return computed(spec, {{"x", x}, {"target", {target}}}).at("loss")[0]; };
  CHECK(loss(2) == doctest::Approx(std::log(total) - 3).epsilon(1e-6));
  CHECK(loss(-100) == 0);
  CHECK(std::isnan(loss(4)));
  CHECK(computed(spec, {{"x", x}, {"target", {0}}}).at("logsumexp")[0] == doctest::Approx(std::log(total)).epsilon(1e-6));
}

namespace {

/// What is stored of one row: its bytes, and its own scale where it has one.
struct Quantised {
  std::vector<int> y;
  float scale = 0;
};

/// The row of a Spec of f32 inputs, which are given in its order.
Quantised quantised(const Spec& spec, const std::vector<std::vector<float>>& values) {
  std::vector<ConstView> inputs;
  for (const std::vector<float>& given : values) inputs.push_back({given.data(), static_cast<std::int64_t>(given.size())});
  std::vector<std::uint8_t> y(static_cast<std::size_t>(spec.n));
  Quantised out;
  std::vector<View> outputs{{y.data(), spec.n}};
  if (spec.outputs.size() == 2) outputs.push_back({&out.scale, 1});
  interpret(spec, default_fold(spec), 1, inputs, outputs);
  out.y.assign(y.begin(), y.end());
  return out;
}

/// The values as they are, quantised.
Quantised gated(const Quantize& quantize, const std::vector<float>& values, const std::vector<float>& scale = {}) {
  const auto n = static_cast<std::int64_t>(values.size());
  std::vector<std::vector<float>> inputs{std::vector<float>(values.size(), 64.0f), values};  // silu(64) = 64
  for (float& value : inputs[1]) value /= 64;
  if (!scale.empty()) inputs.push_back(scale);
  return quantised(silu_and_mul_quant({.n = n, .dtype = DType::f32, .quantize = quantize}), inputs);
}

/// Their rms_norm, quantised.
Quantised normed(const Quantize& quantize, const std::vector<float>& values, const std::vector<float>& scale = {}) {
  const auto n = static_cast<std::int64_t>(values.size());
  std::vector<std::vector<float>> inputs{values};
  if (!scale.empty()) inputs.push_back(scale);
  return quantised(rms_norm({.n = n, .dtype = DType::f32, .weight = false, .quantize = quantize}), inputs);
}

using Bytes = std::vector<int>;

}  // namespace

TEST_CASE("quantised rows with a scale of their own: zeros, NaN and infinities") {
  const Quantize e4m3, i8{.dtype = DType::i8};
  CHECK(normed(e4m3, {0, -0.0f, 0, 0}).y == Bytes{0, 0x80, 0, 0});
  CHECK(normed(e4m3, {0, 0, 0, 0}).scale == e4m3_scale_floor);
  CHECK(normed(i8, {0, -0.0f, 0, 0}).y == Bytes{0, 0, 0, 0});
  CHECK(normed(i8, {0, 0, 0, 0}).scale == i8_scale_floor);
  CHECK(normed(e4m3, {1, -1, 1, 1}).scale == doctest::Approx(1.0 / 448).epsilon(1e-5));
  CHECK(normed(e4m3, {1, -1, 1, 1}).y == Bytes{0x7e, 0xfe, 0x7e, 0x7e});
  CHECK(normed(i8, {1, -1, 1, 1}).scale == doctest::Approx(1.0 / 127).epsilon(1e-5));
  CHECK(normed(i8, {1, -1, 1, 1}).y == Bytes{127, 0x81, 127, 127});
  // The inverse root mean square of a row with an infinity is 0, and infinity * 0 is NaN.
  for (const float bad : {nan_value, infinity, -infinity}) {
    CAPTURE(bad);
    CHECK(std::isnan(normed(e4m3, {1, bad, 1, 1}).scale));
    CHECK(normed(e4m3, {1, bad, 1, 1}).y == Bytes{0x7f, 0x7f, 0x7f, 0x7f});
    CHECK(std::isnan(normed(i8, {1, bad, 1, 1}).scale));
    CHECK(normed(i8, {1, bad, 1, 1}).y == Bytes{0, 0, 0, 0});
  }
  // Values that are infinite themselves.
  for (const float bad : {infinity, -infinity}) {
    CHECK(gated(e4m3, {1, bad, -1, 0}).scale == infinity);
    CHECK(gated(e4m3, {1, bad, -1, 0}).y == Bytes{0, 0x7f, 0x80, 0});
    CHECK(gated(i8, {1, bad, -1, 0}).scale == infinity);
    CHECK(gated(i8, {1, bad, -1, 0}).y == Bytes{0, 0, 0, 0});
  }
  CHECK(std::isnan(gated(e4m3, {1, nan_value, infinity, 0}).scale));
  CHECK(gated(e4m3, {1, nan_value, infinity, 0}).y == Bytes{0x7f, 0x7f, 0x7f, 0x7f});
}

TEST_CASE("quantised rows with a given scale: any bits of it") {
  const Quantize e4m3{.scale_input = true}, i8{.dtype = DType::i8, .scale_input = true};
  const std::vector<float> values{1, -1, 0, -0.0f, infinity, -infinity, nan_value, 1000, -1000};
  struct Case {
    float scale;
    Bytes of_e4m3, of_i8;
  };
  constexpr float subnormal = 1e-40f;  // its inverse overflows
  for (const auto& [scale, of_e4m3, of_i8] : {
           Case{1, {0x38, 0xb8, 0, 0x80, 0x7e, 0xfe, 0x7f, 0x7e, 0xfe}, {1, 0xff, 0, 0, 0x7f, 0x80, 0, 0x7f, 0x80}},
           Case{-1, {0xb8, 0x38, 0x80, 0, 0xfe, 0x7e, 0x7f, 0xfe, 0x7e}, {0xff, 1, 0, 0, 0x80, 0x7f, 0, 0x80, 0x7f}},
           Case{0, {0x7e, 0xfe, 0x7f, 0x7f, 0x7e, 0xfe, 0x7f, 0x7e, 0xfe}, {0x7f, 0x80, 0, 0, 0x7f, 0x80, 0, 0x7f, 0x80}},
           Case{subnormal, {0x7e, 0xfe, 0x7f, 0x7f, 0x7e, 0xfe, 0x7f, 0x7e, 0xfe}, {0x7f, 0x80, 0, 0, 0x7f, 0x80, 0, 0x7f, 0x80}},
           Case{-0.0f, {0xfe, 0x7e, 0x7f, 0x7f, 0xfe, 0x7e, 0x7f, 0xfe, 0x7e}, {0x80, 0x7f, 0, 0, 0x80, 0x7f, 0, 0x80, 0x7f}},
           Case{infinity, {0, 0x80, 0, 0x80, 0x7f, 0x7f, 0x7f, 0, 0x80}, Bytes(9, 0)},
           Case{-infinity, {0x80, 0, 0x80, 0, 0x7f, 0x7f, 0x7f, 0x80, 0}, Bytes(9, 0)},
           Case{nan_value, Bytes(9, 0x7f), Bytes(9, 0)},
       }) {
    CAPTURE(scale);
    CHECK(gated(e4m3, values, {scale}).y == of_e4m3);
    CHECK(gated(i8, values, {scale}).y == of_i8);
  }
  // An infinity in x is NaN in the norm, before any scale, and what is finite 0.
  CHECK(normed(e4m3, {1, infinity, -1, 0}, {1}).y == Bytes{0, 0x7f, 0x80, 0});
  CHECK(normed(i8, {1, infinity, -1, 0}, {1}).y == Bytes{0, 0, 0, 0});
  // A scale that is part of the Spec is the same.
  CHECK(gated({.static_scale = 1.0f}, values).y == Bytes{0x38, 0xb8, 0, 0x80, 0x7e, 0xfe, 0x7f, 0x7e, 0xfe});
}

TEST_CASE("quantised rows: what is refused") {
  CHECK_THROWS_AS(rms_norm({.n = 4, .quantize = Quantize{.dtype = DType::f16}}), UsageError);
  for (const float scale : {0.0f, -1.0f, 1e-40f, infinity, nan_value}) {
    CAPTURE(scale);
    CHECK_THROWS_AS(rms_norm({.n = 4, .quantize = Quantize{.static_scale = scale}}), UsageError);
  }
  const Spec fixed = rms_norm({.n = 4, .quantize = Quantize{.dtype = DType::i8, .static_scale = 0.5f}});
  CHECK(fixed.outputs.size() == 1);
}
