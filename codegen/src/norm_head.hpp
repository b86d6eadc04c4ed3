#pragma once
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <string_view>

#include "row_length.hpp"

namespace isofold {

/// How the texts of all norms begin: x, with the residual where there is one, under the name `h`.
struct NormHead {
  std::string inputs;  // of the Spec, as far as they are rows
  std::string h;       // what is normalised
  std::string body;    // statements that define it
  std::string_view y, residual, weight;  // names of dtypes
};

/// Throws UsageError for n outside 1..max_row_length or an eps that is negative or not finite.
template <class Options>
NormHead norm_head(std::string_view name, const Options& options) {
  check_row_length(name, options.n);
  if (!std::isfinite(options.eps) || options.eps < 0)
    throw UsageError(fmt::format("{}: eps is {}, allowed is a finite number >= 0", name, options.eps));
  NormHead head;
  head.y = name_of(options.output_dtype.value_or(options.dtype));
  head.residual = name_of(options.residual_dtype.value_or(options.dtype));
  head.weight = name_of(options.weight_dtype.value_or(options.dtype));
  head.inputs = fmt::format("x: {}[row]", name_of(options.dtype));
  head.h = options.residual ? "h" : "x";
  if (!options.residual) return head;
  head.inputs += fmt::format(", residual: {}[row]", head.residual);
  head.body = options.residual_mode == ResidualMode::f32_sum ? "h = add(x, residual); "
                                                             : fmt::format("h = {}(add(x, residual)); ", head.residual);
  return head;
}

}  // namespace isofold
