#pragma once
#include <isofold/codegen/dtype.hpp>

#include <cstdint>

namespace isofold::testing {

/// What a generated row is made of.
enum class RowKind : std::uint8_t {
  normal,  // bell-shaped, about -6 to 6
  sparse,  // a few numbers of several magnitudes among zeros: another tree of their sum nearly always shows,
           // where the last additions of a full row would round it away
  mixed_scale,    // magnitudes over many powers of two
  subnormal,      // of the dtype, and its smallest normal numbers
  negative_zero,  // -0.0 alone
  tiny_sum,       // zeros of both signs and a few subnormals: the sum of squares is 0 or subnormal
  huge,           // the largest finite numbers: sums of squares overflow
  infinite,       // normal with an infinity of either sign here and there
  nan,            // normal with NaNs of odd payloads and either sign here and there
  any_bits,       // every bit pattern, equally likely
};
/// Every kind, with a row that tells trees apart between any two others.
inline constexpr RowKind all_row_kinds[] = {
    RowKind::sparse,    RowKind::normal, RowKind::sparse,        RowKind::mixed_scale, RowKind::sparse,
    RowKind::subnormal, RowKind::sparse, RowKind::negative_zero, RowKind::sparse,      RowKind::tiny_sum,
    RowKind::sparse,    RowKind::huge,   RowKind::sparse,        RowKind::infinite,    RowKind::sparse,
    RowKind::nan,       RowKind::sparse, RowKind::any_bits};

/// Writes n elements. The same (kind, dtype, n, seed) gives the same bytes on every machine.
void fill_row(RowKind kind, DType dtype, void* row, std::int64_t n, std::uint64_t seed);

}  // namespace isofold::testing
