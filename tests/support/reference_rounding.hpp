#pragma once
// Conversions to bf16 and f16 that count in units of the last place, in binary64, where all but the rounding
// is exact. Slow, and written apart from the library's.
#include <isofold/codegen/dtype.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace isofold::testing {

/// A 16-bit binary format: sign, exponent, fraction.
struct SmallFloat {
  int fraction_bits;
  int min_exponent;  // of the smallest normal number
  int max_exponent;  // of the largest finite number

  std::uint16_t infinity() const {
    return static_cast<std::uint16_t>(0x7fff >> fraction_bits << fraction_bits);
  }
  bool is_nan(std::uint16_t bits) const { return (bits & 0x7fff) > infinity(); }
  bool is_infinite(std::uint16_t bits) const { return (bits & 0x7fff) == infinity(); }

  /// Value of a finite bit pattern.
  double value_of(std::uint16_t bits) const {
    const int exponent = (bits & 0x7fff) >> fraction_bits;
    const int fraction = bits & ((1 << fraction_bits) - 1);
    const int unit = min_exponent - fraction_bits;
    const double magnitude = exponent == 0 ? std::ldexp(fraction, unit)
                                           : std::ldexp((1 << fraction_bits) + fraction, unit + exponent - 1);
    return bits & 0x8000 ? -magnitude : magnitude;
  }

  /// Bit pattern nearest to `value`, to even on a tie; every NaN is 0x7fff.
  std::uint16_t nearest(float value) const {
    const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    if (std::isnan(value)) return 0x7fff;
    if (std::isinf(value)) return sign | infinity();
    if (value == 0) return sign;
    const double magnitude = std::fabs(static_cast<double>(value));
    const int exponent = std::max(std::ilogb(magnitude), min_exponent);
    const double units = std::nearbyint(std::ldexp(magnitude, fraction_bits - exponent));
    if (std::ldexp(units, exponent - fraction_bits) >= std::ldexp(1.0, max_exponent + 1))
      return sign | infinity();
    // Patterns are consecutive across binades, so a carry out of the fraction is the next exponent.
    const int binade = (exponent - min_exponent) << fraction_bits;
    return static_cast<std::uint16_t>(sign | (binade + static_cast<int>(units)));
  }
};

inline constexpr SmallFloat bf16_format{7, -126, 127};
inline constexpr SmallFloat f16_format{10, -14, 15};

}  // namespace isofold::testing
