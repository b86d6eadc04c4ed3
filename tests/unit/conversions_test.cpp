// The conversions of interpreter.hpp, against a reference that counts in units of the last place, in
// binary64.
#include <isofold/codegen/interpreter.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>

#include "support/random.hpp"
#include "support/reference_rounding.hpp"

using namespace isofold;
using isofold::testing::bf16_format;
using isofold::testing::f16_format;
using isofold::testing::Random;
using isofold::testing::SmallFloat;

namespace {

/// Number of 16-bit patterns that widen to the wrong number, or do not come back.
int wrong_widenings(SmallFloat format, float (*widen)(std::uint16_t), std::uint16_t (*narrow)(float)) {
  int wrong = 0;
  for (std::uint32_t pattern = 0; pattern < 0x10000; ++pattern) {
    const auto bits = static_cast<std::uint16_t>(pattern);
    const float value = widen(bits);
    if (format.is_nan(bits)) {
      wrong += !std::isnan(value) || narrow(value) != 0x7fff;
    } else if (format.is_infinite(bits)) {
      wrong += !std::isinf(value) || std::signbit(value) != (bits >= 0x8000) || narrow(value) != bits;
    } else {
      wrong += static_cast<double>(value) != format.value_of(bits) || std::signbit(value) != (bits >= 0x8000);
      wrong += narrow(value) != bits;
    }
  }
  return wrong;
}

/// Number of binary32 values near ties of the format, and among `count` random ones, that are narrowed
/// wrongly.
int wrong_narrowings(SmallFloat format, std::uint16_t (*narrow)(float), int count) {
  int wrong = 0;
  const auto check = [&](std::uint32_t bits) {
    const float value = std::bit_cast<float>(bits);
    wrong += narrow(value) != format.nearest(value);
  };
  for (std::uint32_t pattern = 0; pattern < 0x7fff; ++pattern) {
    const auto bits = static_cast<std::uint16_t>(pattern);
    if (format.is_nan(bits) || format.is_infinite(bits)) continue;
    const double half =
        0.5 * format.value_of(1) * std::ldexp(1.0, std::max(0, (bits >> format.fraction_bits) - 1));
    const auto tie = std::bit_cast<std::uint32_t>(static_cast<float>(format.value_of(bits) + half));
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
  CHECK(wrong_widenings(bf16_format, from_bf16, to_bf16) == 0);
  CHECK(wrong_widenings(f16_format, from_f16, to_f16) == 0);
}

TEST_CASE("binary32 narrows to the nearest, ties to even: every tie and its neighbours, and 2^24 values") {
  CHECK(wrong_narrowings(bf16_format, to_bf16, 1 << 23) == 0);
  CHECK(wrong_narrowings(f16_format, to_f16, 1 << 23) == 0);
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

TEST_CASE("8 bits: the nearest number, ties to the even pattern, saturated") {
  const auto nearest_e4m3 = [](float value) -> std::uint8_t {
    if (std::isnan(value)) return 0x7f;
    const double magnitude = std::abs(static_cast<double>(value));
    unsigned best = 0;
    for (unsigned pattern = 1; pattern < 0x7f; ++pattern) {
      const auto away = [&](unsigned p) { return std::abs(static_cast<double>(from_e4m3(static_cast<std::uint8_t>(p))) - magnitude); };
      if (away(pattern) < away(best) || (away(pattern) == away(best) && pattern % 2 == 0)) best = pattern;
    }
    return static_cast<std::uint8_t>(best | (std::signbit(value) ? 0x80 : 0));
  };
  CHECK(from_e4m3(0x01) == 0x1p-9f);
  CHECK(from_e4m3(0x08) == 0x1p-6f);
  CHECK(from_e4m3(0x38) == 1);
  CHECK(from_e4m3(0x7e) == 448);
  CHECK(from_e4m3(0xfe) == -448);
  CHECK(std::isnan(from_e4m3(0x7f)));
  CHECK(std::isnan(from_e4m3(0xff)));
  CHECK((from_e4m3(0x80) == 0 && std::signbit(from_e4m3(0x80))));
  for (unsigned pattern = 0; pattern < 0x7f; ++pattern) CHECK(to_e4m3(from_e4m3(static_cast<std::uint8_t>(pattern))) == pattern);
  Random random(3);
  int wrong = 0;
  for (int i = 0; i < 200000; ++i) {
    const std::uint64_t bits = random.bits();
    const auto exponent = static_cast<std::uint32_t>(112 + (bits >> 32) % 28);
    // Few bits of fraction: ties are frequent.
    const std::uint32_t pattern = i % 2 ? (static_cast<std::uint32_t>(bits) & 0x80780000) | exponent << 23 : static_cast<std::uint32_t>(bits);
    const float value = std::bit_cast<float>(pattern);
    wrong += to_e4m3(value) != nearest_e4m3(value);
    const double rounded = std::isnan(value) ? 0 : std::min(std::max(std::nearbyint(static_cast<double>(value)), -128.0), 127.0);
    wrong += to_i8(value) != static_cast<std::int8_t>(rounded);
  }
  CHECK(wrong == 0);
  CHECK(to_i8(2.5f) == 2);
  CHECK(to_i8(-127.5f) == -128);
  CHECK(to_i8(127.5f) == 127);
}
