#pragma once
#include <isofold/codegen/spec.hpp>

#include <cstddef>
#include <optional>
#include <span>

namespace isofold::tools {

/// How far results are from the exact ones, in units in the last place (ulp) of the output's dtype; of quantised ones in steps.
struct ResultError {
  double largest = 0;
  double worst_hundredth = 0;  // mean of the largest hundredth of all errors
  double mean = 0;
};

/// Is the output stored in 8 bits?
constexpr bool is_quantised(const Output& output) { return size_of(output.dtype) == 1; }

/// How the unit of an element is found.
enum class ErrorUnit {
  of_element,  // at the exact result itself
  of_row       // at the largest exact result of its row, or of all rows where a row has one number
};

/// Differences may be next to 0 with the error of their larger neighbours: what is said of them is said in
/// the unit of those.
ErrorUnit error_unit(const Spec& spec, const Output& output);

/// `actual`: dense rows of `row_elements` elements of `dtype` (f32, bf16, f16 or f64), as many as there are
/// exact results. NaN for NaN, and infinity for what rounds to infinity, is without error; either of them
/// alone is infinitely far away.
ResultError result_error(DType dtype, std::int64_t row_elements, ErrorUnit unit,
                         std::span<const long double> exact, const std::byte* actual);

/// The scales of quantised rows, one number (f32) for each row: exact ones, and what was stored.
struct RowScales {
  std::span<const long double> exact;
  const std::byte* actual = nullptr;
};

/// Of a quantised output (e4m3, i8): |stored scale * stored y - exact scale * exact y| in steps, the distance between neighbours
/// of the dtype at the exact y, times the exact scale. An exact y that is out of range is the end of the range. Half a step is the
/// best possible. Without `scales` y alone is compared.
ResultError quantised_error(DType dtype, std::int64_t row_elements, std::span<const long double> exact, const std::byte* actual,
                            const std::optional<RowScales>& scales);

/// Neither the worst hundredth nor the mean is above the other one's by more than noise: 5 %, or 0.01 ulp
/// where that is more. The single largest error says less: from one set of rows to another it varies by a
/// quarter.
bool never_worse(const ResultError& ours, const ResultError& theirs);

}  // namespace isofold::tools
