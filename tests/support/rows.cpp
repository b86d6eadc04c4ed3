#include "support/rows.hpp"

#include <isofold/codegen/interpreter.hpp>

#include <bit>
#include <cstring>

#include "support/random.hpp"

namespace isofold::testing {
namespace {

/// Field widths of a binary format; its bit patterns are sign, exponent, mantissa.
struct Format {
  int bits;
  int mantissa;
  int exponent;

  std::uint32_t sign_bit() const { return std::uint32_t{1} << (bits - 1); }
  std::uint32_t mantissa_mask() const { return (std::uint32_t{1} << mantissa) - 1; }
  std::uint32_t largest_exponent() const { return (std::uint32_t{1} << exponent) - 1; }
  std::uint32_t infinity() const { return largest_exponent() << mantissa; }
  int bias() const { return (1 << (exponent - 1)) - 1; }
};

Format format_of(DType dtype) {
  if (dtype == DType::f32) return {32, 23, 8};
  if (size_of(dtype) == 1) return {8, 3, 4};  // i8: any pattern will do
  return dtype == DType::bf16 ? Format{16, 7, 8} : Format{16, 10, 5};
}

/// Sum of twelve uniform numbers less six: nearly normal, and exact integer arithmetic up to the last step.
float bell(Random& random) {
  std::int64_t sum = -6 * (std::int64_t{1} << 20);
  for (int i = 0; i < 12; ++i) sum += static_cast<std::int64_t>(random.bits() >> 44);
  return static_cast<float>(sum) * 0x1p-20f;
}

std::uint32_t bell_bits(DType dtype, Random& random) {
  const float value = bell(random);
  if (dtype == DType::f32) return std::bit_cast<std::uint32_t>(value);
  if (dtype == DType::e4m3) return to_e4m3(value);
  if (dtype == DType::i8) return static_cast<std::uint8_t>(to_i8(16 * value));
  return dtype == DType::bf16 ? to_bf16(value) : to_f16(value);
}

std::uint32_t element(RowKind kind, DType dtype, Random& random) {
  const Format format = format_of(dtype);
  const std::uint32_t sign = random.one_in(2) ? format.sign_bit() : 0;
  const std::uint32_t mantissa = static_cast<std::uint32_t>(random.bits()) & format.mantissa_mask();
  const auto with_exponent = [&](std::uint32_t exponent) {
    return sign | exponent << format.mantissa | mantissa;
  };
  switch (kind) {
    case RowKind::normal:
      break;
    case RowKind::sparse: {
      // One of the few numbers. The shorter the mantissa, the farther apart: sums of squares must not be
      // exact.
      const std::uint64_t binades = dtype == DType::f32 ? 2 : dtype == DType::bf16 ? 7 : 3;
      return with_exponent(static_cast<std::uint32_t>(format.bias()) +
                           static_cast<std::uint32_t>(random.below(binades)));
    }
    case RowKind::mixed_scale: {
      // Squares and their sums stay finite in binary32.
      const int span = std::min(40, format.bias() - 1);
      return with_exponent(static_cast<std::uint32_t>(format.bias() - span) +
                           static_cast<std::uint32_t>(random.below(2 * span + 1)));
    }
    case RowKind::subnormal:
      return with_exponent(random.one_in(8) ? 1 : 0);
    case RowKind::negative_zero:
      return format.sign_bit();
    case RowKind::tiny_sum:
      return random.one_in(16) ? with_exponent(0) : sign;
    case RowKind::huge:
      return with_exponent(format.largest_exponent() - 1);
    case RowKind::infinite:
      if (random.one_in(64)) return sign | format.infinity();
      break;
    case RowKind::nan:
      if (random.one_in(64)) return sign | format.infinity() | (mantissa == 0 ? 1 : mantissa);
      break;
    case RowKind::any_bits:
      return static_cast<std::uint32_t>(random.bits() >> (64 - format.bits));
  }
  return bell_bits(dtype, random);
}

/// Numbers of a binary32 row with more bits behind them; of the kinds at the ends of the range, at binary64's.
std::uint64_t wide_element(RowKind kind, Random& random) {
  constexpr std::uint64_t fraction = (std::uint64_t{1} << 52) - 1;
  const std::uint64_t sign = random.bits() >> 63 << 63;
  if (kind == RowKind::any_bits) return random.bits();
  if (kind == RowKind::subnormal) return sign | (random.bits() & fraction);
  if (kind == RowKind::huge) return sign | std::uint64_t{2046} << 52 | (random.bits() & fraction);
  const auto value = std::bit_cast<float>(element(kind, DType::f32, random));
  const auto bits = std::bit_cast<std::uint64_t>(static_cast<double>(value));
  return value == 0 || value - value != 0 ? bits : bits | random.bits() >> 36;
}

}  // namespace

void fill_row(RowKind kind, DType dtype, void* row, std::int64_t n, std::uint64_t seed) {
  if (n == 0) return;
  Random random(seed, static_cast<std::uint64_t>(kind), static_cast<std::uint64_t>(dtype));
  auto* bytes = static_cast<std::byte*>(row);
  const auto set = [&](std::int64_t i, std::uint64_t bits) {
    const auto size = static_cast<std::int64_t>(size_of(dtype));
    std::memcpy(bytes + size * i, &bits, static_cast<std::size_t>(size));  // the low bytes
  };
  if (kind != RowKind::sparse) {
    for (std::int64_t i = 0; i < n; ++i) set(i, dtype == DType::f64 ? wide_element(kind, random) : element(kind, dtype, random));
    return;
  }
  const std::uint64_t minus_zero = dtype == DType::f64 ? std::uint64_t{1} << 63 : format_of(dtype).sign_bit();
  for (std::int64_t i = 0; i < n; ++i) set(i, random.one_in(2) ? minus_zero : 0);
  // Together in a window of any size, so that every level of a tree is met.
  const auto length = static_cast<std::uint64_t>(n);
  const std::uint64_t window = std::min(length, std::uint64_t{2} << random.below(std::bit_width(length)));
  const std::uint64_t begin = random.below(length);
  for (std::uint64_t count = 4 + random.below(8); count > 0; --count)
    set(static_cast<std::int64_t>((begin + random.below(window)) % length),
        dtype == DType::f64 ? wide_element(kind, random) : element(kind, dtype, random));
}

}  // namespace isofold::testing
