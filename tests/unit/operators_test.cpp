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

TEST_CASE("quantised rows: zeros, NaN and infinities have a defined scale") {
  const Spec spec = rms_norm({.n = 4, .dtype = DType::f32, .weight = false, .quantize = Quantize{}});
  const auto quantised = [&](std::vector<float> x) {
    std::vector<std::uint8_t> y(4);
    float scale = 0;
    const ConstView input{x.data(), 4};
    const std::vector<View> outputs{{y.data(), 4}, {&scale, 1}};
    interpret(spec, default_fold(spec), 1, {&input, 1}, outputs);
    return std::pair{y, scale};
  };
  CHECK(quantised({0, 0, 0, 0}) == std::pair{std::vector<std::uint8_t>{0, 0, 0, 0}, e4m3_scale_floor});
  const auto [y, scale] = quantised({1, -1, 1, 1});
  CHECK(scale == doctest::Approx(1.0 / 448).epsilon(1e-5));
  CHECK(y == std::vector<std::uint8_t>{0x7e, 0xfe, 0x7e, 0x7e});
  const auto [bad, bad_scale] = quantised({1, nan_value, 1, 1});
  CHECK(std::isnan(bad_scale));
  CHECK(bad == std::vector<std::uint8_t>{0x7f, 0x7f, 0x7f, 0x7f});
  CHECK_THROWS_AS(rms_norm({.n = 4, .quantize = Quantize{.dtype = DType::f16}}), UsageError);
  CHECK_THROWS_AS(rms_norm({.n = 4, .quantize = Quantize{.static_scale = 0.0f}}), UsageError);
  CHECK_THROWS_AS(rms_norm({.n = 4, .quantize = Quantize{.static_scale = infinity}}), UsageError);
  const Spec fixed = rms_norm({.n = 4, .quantize = Quantize{.dtype = DType::i8, .static_scale = 0.5f}});
  CHECK(fixed.outputs.size() == 1);
}
