#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace isofold {

/// Storage types of tensors. Arithmetic is always IEEE binary32.
enum class DType : std::uint8_t { f32, bf16, f16 };

constexpr std::size_t size_of(DType dtype) { return dtype == DType::f32 ? 4 : 2; }
constexpr std::string_view name_of(DType dtype) {
  return dtype == DType::f32 ? "f32" : dtype == DType::bf16 ? "bf16" : "f16";
}
/// "f32", "bf16" or "f16"; anything else gives nothing.
constexpr std::optional<DType> parse_dtype(std::string_view name) {
  for (DType dtype : {DType::f32, DType::bf16, DType::f16})
    if (name == name_of(dtype)) return dtype;
  return std::nullopt;
}

}  // namespace isofold
