#include "element.hpp"

#include <isofold/codegen/interpreter.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace isofold::tools {
namespace {

template <class Number>
Number read(const std::byte* data, std::int64_t i) {
  Number value;
  std::memcpy(&value, data + static_cast<std::size_t>(i) * sizeof value, sizeof value);
  return value;
}

template <class Number>
void write(std::byte* data, std::int64_t i, Number value) {
  std::memcpy(data + static_cast<std::size_t>(i) * sizeof value, &value, sizeof value);
}

struct Format {
  int precision;       // bits of a significand
  int least_exponent;  // of normal numbers, and the largest
  int largest_exponent;
};

Format format_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return {24, -126, 127};
    case DType::bf16:
      return {8, -126, 127};
    case DType::f16:
      return {11, -14, 15};
    case DType::f64:
      return {53, -1022, 1023};
    case DType::e4m3:
      return {4, -6, 8};
    default:
      throw InternalError(fmt::format("{} has no units in the last place", name_of(dtype)));
  }
}

}  // namespace

long double element(const std::byte* data, DType dtype, std::int64_t i) {
  switch (dtype) {
    case DType::f32:
      return read<float>(data, i);
    case DType::bf16:
      return from_bf16(read<std::uint16_t>(data, i));
    case DType::f16:
      return from_f16(read<std::uint16_t>(data, i));
    case DType::e4m3:
      return from_e4m3(read<std::uint8_t>(data, i));
    case DType::i8:
      return read<std::int8_t>(data, i);
    case DType::i32:
      return read<std::int32_t>(data, i);
    case DType::f64:
      return read<double>(data, i);
  }
  throw InternalError("an element of no dtype");
}

void put_element(std::byte* data, DType dtype, std::int64_t i, double value) {
  const auto narrow = static_cast<float>(value);
  switch (dtype) {
    case DType::f32:
      return write(data, i, narrow);
    case DType::bf16:
      return write(data, i, to_bf16(narrow));
    case DType::f16:
      return write(data, i, to_f16(narrow));
    case DType::e4m3:
      return write(data, i, to_e4m3(narrow));
    case DType::i8:
      return write(data, i, to_i8(narrow));
    case DType::i32:
      return write(data, i, static_cast<std::int32_t>(value));
    case DType::f64:
      return write(data, i, value);
  }
}

long double unit_in_last_place(DType dtype, long double magnitude) {
  const Format format = format_of(dtype);
  const int exponent = magnitude > 0 ? std::ilogb(magnitude) : format.least_exponent;
  return std::ldexp(
      1.0L, std::clamp(exponent, format.least_exponent, format.largest_exponent) - format.precision + 1);
}

long double overflow_threshold(DType dtype) {
  const Format format = format_of(dtype);
  return std::ldexp(2.0L - std::ldexp(1.0L, -format.precision), format.largest_exponent);
}

}  // namespace isofold::tools
