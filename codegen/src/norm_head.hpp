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
  std::string_view y, residual;  // names of dtypes
  std::string column;            // dtype and extent of weights
  std::string row, y_row;        // extents of rows and of the output y
};

/// 1 / sqrt(%) in a norm whose output has dtype `y`. An f32 y shows which of the two it is: div of sqrt is rounded twice and
/// adds a tenth to the mean error. It is shorter, and 8 and 16 bits hide the difference.
inline std::string inverse_root(std::string_view y, const std::string& of) {
  return y == name_of(DType::f32) ? fmt::format("rsqrt({})", of) : fmt::format("div(1, sqrt({}))", of);
}

/// Throws UsageError for n outside 0..max_row_length, an eps that is negative or not finite and groups outside
/// 1..max_groups.
template <class Options>
NormHead norm_head(std::string_view name, const Options& options) {
  check_row_length(name, options.n);
  if (!std::isfinite(options.eps) || options.eps < 0)
    throw UsageError(fmt::format("{}: eps is {}, allowed is a finite number >= 0", name, options.eps));
  if (options.groups < 1 || options.groups > max_groups)
    throw UsageError(fmt::format("{}: groups is {}, allowed is 1 to {}", name, options.groups, max_groups));
  NormHead head;
  head.y = name_of(options.output_dtype.value_or(options.dtype));
  head.residual = name_of(options.residual_dtype.value_or(options.dtype));
  const std::string in_groups = options.groups == 1 ? "" : fmt::format(" {}", options.groups);
  head.column = fmt::format("{}[column{}]", name_of(options.weight_dtype.value_or(options.dtype)), options.shared_weight ? "" : in_groups);
  head.row = fmt::format("[row{}]", in_groups);
  if (options.groups > 1) head.y_row = head.row;
  head.inputs = fmt::format("x: {}{}", name_of(options.dtype), head.row);
  head.h = options.residual ? "h" : "x";
  if (!options.residual) return head;
  head.inputs += fmt::format(", residual: {}{}", head.residual, head.row);
  head.body = options.residual_mode == ResidualMode::f32_sum ? "h = add(x, residual); "
                                                             : fmt::format("h = {}(add(x, residual)); ", head.residual);
  return head;
}

}  // namespace isofold
