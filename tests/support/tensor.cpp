#include "support/tensor.hpp"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "support/random.hpp"

namespace isofold::testing {
namespace {

constexpr std::size_t guard = 256;

/// Depends on the place, so that a block copied to another place is seen.
std::byte canary(std::size_t place) { return static_cast<std::byte>(Random(0xca9a27, place).bits()); }

double value_of(DType dtype, std::uint64_t pattern) {
  if (dtype == DType::f64) return std::bit_cast<double>(pattern);
  const auto bits = static_cast<std::uint32_t>(pattern);
  if (dtype == DType::f32) return std::bit_cast<float>(bits);
  if (dtype == DType::i32) return static_cast<float>(std::bit_cast<std::int32_t>(bits));
  if (dtype == DType::i8) return static_cast<std::int8_t>(bits);
  if (dtype == DType::e4m3) {
    const int exponent = static_cast<int>(bits >> 3 & 15), fraction = static_cast<int>(bits & 7);
    const float magnitude = (bits & 0x7f) == 0x7f ? std::nanf("")
                            : exponent == 0       ? std::ldexp(static_cast<float>(fraction), -9)
                                                  : std::ldexp(static_cast<float>(8 + fraction), exponent - 10);
    return (bits & 0x80) != 0 ? -magnitude : magnitude;
  }
  const auto narrow = static_cast<std::uint16_t>(bits);
  return dtype == DType::bf16 ? from_bf16(narrow) : from_f16(narrow);
}

}  // namespace

HostTensor::HostTensor(const Shape& shape) : shape_(shape) {
  if (shape_.row_stride == 0) shape_.row_stride = shape_.n;
  if (shape_.row_stride < shape_.n || shape_.rows < 1)
    throw std::invalid_argument("rows overlap, or there are none");
  const auto elements =
      static_cast<std::size_t>((shape_.rows - 1) * shape_.row_stride + shape_.n + shape_.offset);
  size_ = 2 * guard + elements * size_of(shape_.dtype);
  chunks_.resize((size_ + sizeof(Chunk) - 1) / sizeof(Chunk));
  for (std::size_t i = 0; i < size_; ++i) allocation()[i] = canary(i);
}

std::size_t HostTensor::row_start(std::int64_t index) const {
  const auto element = static_cast<std::size_t>(shape_.offset + index * shape_.row_stride);
  return guard + element * size_of(shape_.dtype);
}

std::uint64_t HostTensor::bits(std::int64_t row_index, std::int64_t element) const {
  const std::size_t size = size_of(shape_.dtype);
  std::uint64_t bits = 0;
  std::memcpy(&bits, row(row_index) + static_cast<std::size_t>(element) * size, size);
  return bits;
}

void HostTensor::fill(RowKind kind, std::uint64_t seed) {
  for (std::int64_t i = 0; i < shape_.rows; ++i)
    fill_row(kind, shape_.dtype, row(i), shape_.n, Random(seed, static_cast<std::uint64_t>(i)).bits());
}

void HostTensor::fill_integers(std::int64_t least, std::int64_t most, std::uint64_t seed) {
  Random random(seed);
  for (std::int64_t i = 0; i < shape_.rows; ++i)
    for (std::int64_t element = 0; element < shape_.n; ++element) {
      const auto value = static_cast<std::int32_t>(least + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(most - least + 1))));
      std::memcpy(row(i) + 4 * element, &value, 4);
    }
}

void HostTensor::fill_all_kinds(std::uint64_t seed, std::uint64_t first, std::uint64_t odd_shift) {
  for (std::int64_t i = 0; i < shape_.rows; ++i) {
    const auto index = static_cast<std::uint64_t>(i);
    const std::uint64_t kind = (index + first + (index % 2 == 1 ? odd_shift : 0)) % std::size(all_row_kinds);
    fill_row(all_row_kinds[kind], shape_.dtype, row(i), shape_.n, Random(seed, index).bits());
  }
}

std::string HostTensor::broken_canary() const {
  const std::size_t row_bytes = static_cast<std::size_t>(shape_.n) * size_of(shape_.dtype);
  std::size_t place = 0;
  for (std::int64_t i = 0; i <= shape_.rows; ++i) {
    const std::size_t end = i < shape_.rows ? row_start(i) : size_;
    for (; place < end; ++place) {
      if (allocation()[place] == canary(place)) continue;
      const auto distance = static_cast<std::ptrdiff_t>(place) - static_cast<std::ptrdiff_t>(row_start(0));
      return fmt::format("byte {} from the tensor's start, {} row {}, was overwritten", distance,
                         i == 0 ? "before" : "behind", i == 0 ? 0 : i - 1);
    }
    place = end + row_bytes;
  }
  return {};
}

std::string difference(const HostTensor& actual, const HostTensor& expected) {
  if (actual.dtype() != expected.dtype() || actual.rows() != expected.rows() || actual.n() != expected.n())
    throw std::invalid_argument("tensors of different shapes are compared");
  const std::size_t row_bytes = static_cast<std::size_t>(actual.n()) * size_of(actual.dtype());
  std::int64_t count = 0;
  std::string first;
  for (std::int64_t i = 0; i < actual.rows(); ++i) {
    if (std::memcmp(actual.row(i), expected.row(i), row_bytes) == 0) continue;
    for (std::int64_t element = 0; element < actual.n(); ++element) {
      const std::uint64_t is = actual.bits(i, element), should = expected.bits(i, element);
      if (is == should) continue;
      if (count++ > 0) continue;
      const int digits = static_cast<int>(2 * size_of(actual.dtype()));
      first =
          fmt::format("row {} element {} is 0x{:0{}x} ({}), expected 0x{:0{}x} ({})", i, element, is, digits,
                      value_of(actual.dtype(), is), should, digits, value_of(expected.dtype(), should));
    }
  }
  return count == 0 ? "" : fmt::format("{} elements differ; the first: {}", count, first);
}

}  // namespace isofold::testing
