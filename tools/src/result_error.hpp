#pragma once
#include <isofold/codegen/spec.hpp>

#include <cstddef>
#include <span>

namespace isofold::tools {

/// How far results are from the exact ones, in units in the last place (ulp) of the output's dtype.
struct ResultError {
  double largest = 0;
  double worst_hundredth = 0;  // mean of the largest hundredth of all errors
  double mean = 0;
};

/// Quantised results are not compared: their rounding is far coarser than any error before it.
constexpr bool is_measured(const Output& output) { return size_of(output.dtype) >= 2; }

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

/// Neither the worst hundredth nor the mean is above the other one's by more than noise: 5 %, or 0.01 ulp
/// where that is more. The single largest error says less: from one set of rows to another it varies by a
/// quarter.
bool never_worse(const ResultError& ours, const ResultError& theirs);

}  // namespace isofold::tools
