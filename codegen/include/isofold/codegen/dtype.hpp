#pragma once
#include <isofold/export.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ISOFOLD_API isofold {

/// Storage types of tensors. Arithmetic on their values is IEEE binary32, that of 32-bit integers for i32, and in Specs of f64
/// binary64.
enum class DType : std::uint8_t {
  f32,
  bf16,
  f16,
  e4m3,  // 8-bit float of 4 exponent and 3 mantissa bits, no infinities (OCP FP8, float8_e4m3fn): stored saturated at 448
  i8,    // stored rounded to nearest even and saturated; NaN is stored as 0
  i32,   // whole numbers: row lengths, class numbers. Inputs only
  f64,   // of Specs in which all is binary64
};
inline constexpr DType all_dtypes[] = {DType::f32, DType::bf16, DType::f16, DType::e4m3, DType::i8, DType::i32, DType::f64};

constexpr std::size_t size_of(DType dtype) {
  if (dtype == DType::e4m3 || dtype == DType::i8) return 1;
  if (dtype == DType::f64) return 8;
  return dtype == DType::f32 || dtype == DType::i32 ? 4 : 2;
}
constexpr std::string_view name_of(DType dtype) {
  constexpr std::string_view names[] = {"f32", "bf16", "f16", "e4m3", "i8", "i32", "f64"};
  return names[static_cast<std::size_t>(dtype)];
}
/// The dtype of that name; anything else gives nothing.
constexpr std::optional<DType> parse_dtype(std::string_view name) {
  for (DType dtype : all_dtypes)
    if (name == name_of(dtype)) return dtype;
  return std::nullopt;
}

}  // namespace isofold
