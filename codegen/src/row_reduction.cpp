#include <isofold/codegen/row_reduction.hpp>

#include <fmt/format.h>

#include "row_length.hpp"

namespace isofold {
namespace {

struct Text {
  std::string_view name, body, result;
};

Text text_of(RowReduction reduction) {
  switch (reduction) {
    case RowReduction::sum: return {"sum", "", "sum(x)"};
    case RowReduction::mean: return {"mean", "", "div(sum(x), N)"};
    case RowReduction::max: return {"max", "", "reduce_max(x)"};
    case RowReduction::min: return {"min", "", "reduce_min(x)"};
    case RowReduction::amax: return {"amax", "", "reduce_max(abs(x))"};
    case RowReduction::sum_of_squares: return {"sum_of_squares", "", "sum(mul(x, x))"};
    case RowReduction::norm2: return {"norm2", "", "sqrt(sum(mul(x, x)))"};
    case RowReduction::logsumexp: break;
  }
  // A row of -inf alone is -inf, one with +inf is +inf: inf - inf would be NaN.
  return {"logsumexp",
          "largest = reduce_max(x); shift = where(equal(largest, -inf), 0, largest); "
          "total = sum(exp_nonpositive(sub(x, shift))); ",
          "where(equal(largest, inf), inf, add(log(total), shift))"};
}

}  // namespace

std::string_view name_of(RowReduction reduction) { return text_of(reduction).name; }

Spec row_reduction(const RowReductionOptions& options) {
  const Text text = text_of(options.reduction);
  check_row_length(text.name, options.n);
  return parse_spec(fmt::format("row_{} N={} (x: {}[row]) {{ {}y: {} = {} }}", text.name, options.n, name_of(options.dtype),
                                text.body, name_of(options.output_dtype.value_or(options.dtype)), text.result));
}

}  // namespace isofold
