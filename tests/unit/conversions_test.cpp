// The conversions of interpreter.hpp, against a reference that counts in units of the last place, in
// binary64.
#include <isofold/codegen/interpreter.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>

#include "support/random.hpp"

using namespace isofold;
using isofold::testing::Random;

namespace {

struct Format {
  int mantissa;      // stored bits
  int min_exponent;  // of the smallest normal number
  int max_exponent;  // of the largest finite number
};
constexpr Format bf16{7, -126, 127};
constexpr Format f16{10, -14, 15};

/// Value of a bit pattern; finite patterns only.
double value_of(std::uint16_t bits, Format format) {
  const int exponent_bits = (bits & 0x7fff) >> format.mantissa;
  const int fraction = bits & ((1 << format.mantissa) - 1);
  const int unit = format.min_exponent - format.mantissa;
  const double magnitude = exponent_bits == 0
                               ? std::ldexp(fraction, unit)
                               : std::ldexp((1 << format.mantissa) + fraction, unit + exponent_bits - 1);
  return bits & 0x8000 ? -magnitude : magnitude;
}

std::uint16_t nearest(float value, Format format) {
  const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const std::uint16_t infinity = static_cast<std::uint16_t>(0x7fff >> format.mantissa << format.mantissa);
  if (std::isnan(value)) return 0x7fff;
  if (std::isinf(value)) return sign | infinity;
  if (value == 0) return sign;
  const double magnitude = std::fabs(static_cast<double>(value));
  const int exponent = std::max(std::ilogb(magnitude), format.min_exponent);
  const double units = std::nearbyint(std::ldexp(magnitude, format.mantissa - exponent));  // to even on a tie
  if (std::ldexp(units, exponent - format.mantissa) >= std::ldexp(1.0, format.max_exponent + 1))
    return sign | infinity;
  // Patterns are consecutive across binades, so a carry out of the fraction is the next exponent.
  const auto base = (exponent - format.min_exponent) << format.mantissa;
  return static_cast<std::uint16_t>(sign | (base + static_cast<int>(units)));
}

bool is_nan(std::uint16_t bits, Format format) {
  return (bits & 0x7fff) > (0x7fff >> format.mantissa << format.mantissa);
}
bool is_infinite(std::uint16_t bits, Format format) {
  return (bits & 0x7fff) == (0x7fff >> format.mantissa << format.mantissa);
}

/// Number of 16-bit patterns that widen to the wrong number, or do not come back.
int wrong_widenings(Format format, float (*widen)(std::uint16_t), std::uint16_t (*narrow)(float)) {
  int wrong = 0;
  for (std::uint32_t pattern = 0; pattern < 0x10000; ++pattern) {
    const auto bits = static_cast<std::uint16_t>(pattern);
    const float value = widen(bits);
    if (is_nan(bits, format)) {
      wrong += !std::isnan(value) || narrow(value) != 0x7fff;
    } else if (is_infinite(bits, format)) {
      wrong += !std::isinf(value) || std::signbit(value) != (bits >= 0x8000) || narrow(value) != bits;
    } else {
      wrong +=
          static_cast<double>(value) != value_of(bits, format) || std::signbit(value) != (bits >= 0x8000);
      wrong += narrow(value) != bits;
    }
  }
  return wrong;
}

/// Number of binary32 values near ties of the format, and among `count` random ones, that are narrowed
/// wrongly.
int wrong_narrowings(Format format, std::uint16_t (*narrow)(float), int count) {
  int wrong = 0;
  const auto check = [&](std::uint32_t bits) {
    const float value = std::bit_cast<float>(bits);
    wrong += narrow(value) != nearest(value, format);
  };
  for (std::uint32_t pattern = 0; pattern < 0x7fff; ++pattern) {
    const auto bits = static_cast<std::uint16_t>(pattern);
    if (is_nan(bits, format) || is_infinite(bits, format)) continue;
    const double half =
        0.5 * value_of(1, format) * std::ldexp(1.0, std::max(0, (bits >> format.mantissa) - 1));
    const auto tie = std::bit_cast<std::uint32_t>(static_cast<float>(value_of(bits, format) + half));
    for (std::uint32_t near : {tie - 1, tie, tie + 1}) {
      check(near);
      check(near | 0x80000000);
    }
  }
  Random random(7);
  for (int i = 0; i < count; ++i) check(static_cast<std::uint32_t>(random.bits()));
  // Random patterns seldom meet the small range of f16: exponents around it, too.
  for (int i = 0; i < count; ++i) {
    const std::uint64_t bits = random.bits();
    const auto exponent = static_cast<std::uint32_t>(98 + (bits >> 32) % 50);
    check((static_cast<std::uint32_t>(bits) & 0x807fffff) | exponent << 23);
  }
  return wrong;
}

}  // namespace

TEST_CASE("all 2^16 patterns widen exactly and come back") {
  CHECK(wrong_widenings(bf16, from_bf16, to_bf16) == 0);
  CHECK(wrong_widenings(f16, from_f16, to_f16) == 0);
}

TEST_CASE("binary32 narrows to the nearest, ties to even: every tie and its neighbours, and 2^24 values") {
  CHECK(wrong_narrowings(bf16, to_bf16, 1 << 23) == 0);
  CHECK(wrong_narrowings(f16, to_f16, 1 << 23) == 0);
}

TEST_CASE("the edges of the ranges") {
  CHECK(to_f16(65504.0f) == 0x7bff);
  CHECK(to_f16(65519.996f) == 0x7bff);
  CHECK(to_f16(65520.0f) == 0x7c00);
  CHECK(to_f16(-65536.0f) == 0xfc00);
  CHECK(to_f16(0x1p-24f) == 0x0001);
  CHECK(to_f16(0x1p-25f) == 0x0000);
  CHECK(to_f16(-0x1.000002p-25f) == 0x8001);
  CHECK(to_f16(0x1.ffcp-15f) == 0x0400);  // rounds up to the smallest normal number
  CHECK(to_bf16(0x1.fep127f) == 0x7f7f);
  CHECK(to_bf16(0x1.ffp127f) == 0x7f80);
  CHECK(to_bf16(-0x1p-149f) == 0x8000);
  CHECK(to_bf16(0x1p-133f) == 0x0001);
}
