#pragma once
#include <isofold/codegen/operators.hpp>

#include <algorithm>
#include <string_view>
#include <vector>

namespace isofold::testing {

/// Dtypes of x that a named operator has: those of 16 and 32 bits first, then those of 8 bits, then f64 where it is one of its.
inline std::vector<DType> dtypes_of(const NamedOperator& named) {
  constexpr std::string_view wide[] = {"sum", "mean", "max", "min", "amax", "sum_of_squares", "norm2"};
  std::vector<DType> dtypes{DType::bf16, DType::f16, DType::f32, DType::e4m3, DType::i8};
  if (std::find(std::begin(wide), std::end(wide), named.name) != std::end(wide)) dtypes.push_back(DType::f64);
  return dtypes;
}

}  // namespace isofold::testing
