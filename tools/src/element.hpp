#pragma once
#include <isofold/codegen/dtype.hpp>

#include <cstddef>
#include <cstdint>

namespace isofold::tools {

/// Element `i` of raw data, exactly.
long double element(const std::byte* data, DType dtype, std::int64_t i);

/// Stores a number as element `i`, rounded; for dtypes of inputs.
void put_element(std::byte* data, DType dtype, std::int64_t i, double value);

/// The distance between numbers of the dtype, one of floats, in the binade of `magnitude` (>= 0, finite):
/// for what is smaller than the least normal number that of subnormal numbers, for what is too large that of
/// the largest.
long double unit_in_last_place(DType dtype, long double magnitude);

/// Numbers from here on are rounded to infinity.
long double overflow_threshold(DType dtype);

}  // namespace isofold::tools
