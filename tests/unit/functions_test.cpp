// The functions that Specs call, against binary64, at a sample of floats; tools/functions measures them at all.
#include <isofold/codegen/digest.hpp>
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/functions.hpp>
#include <isofold/codegen/interpreter.hpp>
#include <isofold/codegen/spec.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

using namespace isofold;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// The function of each value, by the oracle.
std::vector<float> applied(const std::string& name, const std::vector<float>& x) {
  const auto n = static_cast<std::int64_t>(x.size());
  const Spec spec = parse_spec(fmt::format(
      "one N={} (x: f32[row]) {{ all = reduce_max(x); y: f32 = where(equal(all, all), {}(x), {}(x)) }}", n, name, name));
  std::vector<float> y(x.size());
  const ConstView input{x.data(), n};
  const View output{y.data(), n};
  interpret(spec, default_fold(spec), 1, {&input, 1}, {&output, 1});
  return y;
}

double reference(const std::string& name, double x) {
  if (name == "exp" || name == "exp_nonpositive") return std::exp(x);
  if (name == "log") return std::log(x);
  if (name == "rsqrt") return 1 / std::sqrt(x);
  if (name == "sigmoid") return 1 / (1 + std::exp(-x));
  if (name == "silu") return x / (1 + std::exp(-x));
  if (name == "tanh") return std::tanh(x);
  if (name == "erf") return std::erf(x);
  if (name == "gelu") return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));  // gelu_tanh
}

/// Distance in units of the last place of the float nearest to `exact`.
double error_in_ulp(float value, double exact) {
  const double magnitude = std::max(std::abs(exact), 0x1p-126);
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  return std::abs(static_cast<double>(value) - exact) / std::ldexp(1.0, exponent - 24);
}

}  // namespace

TEST_CASE("every function is within one unit of the last place at floats of all magnitudes") {
  for (const Function& function : functions()) {
    CAPTURE(function.name);
    std::vector<float> x;
    std::uint64_t state = 7;
    for (int i = 0; i < 60000; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const auto bits = static_cast<std::uint32_t>(state >> 32);
      float value = std::bit_cast<float>(bits);
      if (i % 2 == 0) value = static_cast<float>(static_cast<std::int32_t>(bits)) * 0x1p-25f;  // -64 to 64
      if (value != value) continue;
      if (function.name == "exp_nonpositive" && value > 0) value = -value;
      if (function.name == "log" || function.name == "rsqrt") value = std::abs(value);
      // The reference itself cancels there.
      if (function.name == "gelu_tanh" && (value < -5 || std::abs(value) > 1e9f)) continue;
      x.push_back(value);
    }
    const std::vector<float> y = applied(function.name, x);
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double exact = reference(function.name, x[i]);
      const bool overflows = std::abs(exact) >= 0x1.ffffffp127;
      if (exact != exact || overflows || std::isinf(x[i])) continue;
      const double error = error_in_ulp(y[i], exact);
      if (error > worst) worst = error;
      if (error > 1) FAIL_CHECK(fmt::format("{}({:a}) is {:a}, exactly {:a}: {:.3f} ulp", function.name, x[i], y[i], exact, error));
    }
    CHECK(worst > 0.4);  // the reference is another one
  }
}

TEST_CASE("infinities, zeros and NaN") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto at = [](const char* name, float x) { return applied(name, {x})[0]; };
  for (const Function& function : functions()) CHECK(std::isnan(at(function.name.c_str(), nan)));
  CHECK(at("exp", -infinity) == 0);
  CHECK(at("exp", infinity) == infinity);
  CHECK(at("exp", 0) == 1);
  CHECK(at("exp_nonpositive", -infinity) == 0);
  CHECK(at("log", 0.0f) == -infinity);
  CHECK(at("log", -0.0f) == -infinity);
  CHECK(at("log", infinity) == infinity);
  CHECK(at("log", 1) == 0);
  CHECK(std::isnan(at("log", -1)));
  CHECK(at("rsqrt", 0.0f) == infinity);
  CHECK(at("rsqrt", -0.0f) == -infinity);
  CHECK(at("rsqrt", infinity) == 0);
  CHECK(std::isnan(at("rsqrt", -1)));
  CHECK(at("sigmoid", -infinity) == 0);
  CHECK(at("sigmoid", infinity) == 1);
  CHECK(at("silu", infinity) == infinity);
  CHECK(std::isnan(at("silu", -infinity)));
  CHECK(at("tanh", infinity) == 1);
  CHECK(at("tanh", -infinity) == -1);
  CHECK(at("erf", -infinity) == -1);
  CHECK(std::signbit(at("tanh", -0.0f)));
  CHECK(std::signbit(at("erf", -0.0f)));
}

TEST_CASE("rsqrt is the nearest float") {
  // All 2^24 of [1, 4): others are these times a power of 4. X = x 2^23 and Y = y 2^24 are whole numbers, and y is the nearest
  // when 1 / sqrt(x) lies between y - 2^-25 and y + 2^-25: x (2 Y - 1)^2 < 2^50 < x (2 Y + 1)^2.
  const auto is_nearest = [](float x, float y) {
    const auto square = [](std::uint64_t value) { return static_cast<unsigned __int128>(value) * value; };
    const auto whole_x = static_cast<std::uint64_t>(x * 0x1p23f), whole_y = static_cast<std::uint64_t>(y * 0x1p24f);
    const unsigned __int128 one = static_cast<unsigned __int128>(1) << 73;
    return whole_x * square(2 * whole_y - 1) < one && one < whole_x * square(2 * whole_y + 1);
  };
  constexpr std::uint32_t block = 1 << 20;
  std::int64_t wrong = 0;
  for (std::uint32_t first = std::bit_cast<std::uint32_t>(1.0f); first < std::bit_cast<std::uint32_t>(4.0f); first += block) {
    std::vector<float> x(block);
    for (std::uint32_t i = 0; i < block; ++i) x[i] = std::bit_cast<float>(first + i);
    const std::vector<float> y = applied("rsqrt", x);
    for (std::uint32_t i = 0; i < block; ++i) wrong += !is_nearest(x[i], y[i]);
  }
  CHECK(wrong == 0);
  // Of all magnitudes.
  std::vector<float> x{0x1p-149f, 0x1.fffffep127f};
  for (std::uint32_t i = 0; i < 50000; ++i) x.push_back(std::bit_cast<float>(1 + i * 42780u));
  const std::vector<float> y = applied("rsqrt", x);
  for (std::size_t i = 0; i < x.size(); ++i) CHECK(y[i] == static_cast<float>(1 / std::sqrt(static_cast<double>(x[i]))));
}

TEST_CASE("the functions' bits are frozen by the numerics version") {
  REQUIRE(numerics_version == 1);
  std::vector<float> x;
  for (std::uint32_t i = 0; i < 50000; ++i) x.push_back(std::bit_cast<float>(i * 85899u));  // all over the patterns
  std::string all;
  for (const Function& function : functions()) {
    const std::vector<float> y = applied(function.name, x);
    all += fmt::format("{} {}\n", function.name, digest({reinterpret_cast<const char*>(y.data()), 4 * y.size()}));
  }
  CHECK_MESSAGE(digest(all) == "8ce47d265fa6fcb285f7f3c41037d495", "other bits are another numerics version");
}
