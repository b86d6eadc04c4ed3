#pragma once
#include <isofold/codegen/spec.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace isofold::tools {

/// What the first row input of a Spec is made of. The others are normal, with mean 0 and deviation 1; whole
/// numbers are from 1 to N - 1; one number in all, which scales what is quantised, is from 2^-5 to 2^-4, so that ordinary results fit.
enum class RowData : std::uint8_t {
  normal,        // mean 0, deviation 1
  offset,        // mean 1e3, deviation 1
  large_offset,  // mean 1e4, deviation 1
  magnitudes,    // from 2^-12 to 2^12, either sign, evenly by exponent
  cancelling,    // as magnitudes, in pairs whose sum is about 2^-10
  near_ties,     // a few neighbouring numbers of the dtype; their magnitude is the row's own, from 1 to 2^13
  wide_range,    // from -90 to 10, evenly: powers from subnormal numbers to 1
};

/// For people: "near-ties".
std::string_view name_of(RowData data);

/// The normal rows, and those that are hard for what the Spec does: offsets where differences decide the
/// result, ties and wide ranges for powers, magnitudes for the rest.
std::vector<RowData> row_data_for(const Spec& spec);

/// Dense inputs of `rows` rows in the Spec's order. The same arguments give the same bytes on every machine.
std::vector<std::vector<std::byte>> draw_inputs(const Spec& spec, RowData data, std::int64_t rows,
                                                std::uint64_t seed);

}  // namespace isofold::tools
