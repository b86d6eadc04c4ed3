#pragma once
#include <isofold/codegen/spec.hpp>
#include <isofold/export.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace ISOFOLD_API isofold {

/// What is left of a row: one number.
enum class RowReduction : std::uint8_t {
  sum,
  mean,            // sum / N
  max,             // NaN when an element is NaN
  min,             // likewise
  amax,            // the largest magnitude; likewise
  sum_of_squares,  // of products that are not rounded
  norm2,           // square root of that
  logsumexp,       // log of the sum of exp(x), by way of the largest x
};
inline constexpr RowReduction all_row_reductions[] = {
    RowReduction::sum,  RowReduction::mean,           RowReduction::max,   RowReduction::min,
    RowReduction::amax, RowReduction::sum_of_squares, RowReduction::norm2, RowReduction::logsumexp};
std::string_view name_of(RowReduction reduction);

/// y = the reduction of each row of n elements.
struct RowReductionOptions {
  RowReduction reduction = RowReduction::sum;
  std::int64_t n = 0;
  DType dtype = DType::bf16;                 // of x
  std::optional<DType> output_dtype = {};    // of y; x's when absent
  bool operator==(const RowReductionOptions&) const = default;
};

/// The Spec named row_<reduction>. Input: x [tokens, n]; output: y [tokens]. Throws UsageError for
/// n outside 0..max_row_length.
Spec row_reduction(const RowReductionOptions& options);

}  // namespace isofold
