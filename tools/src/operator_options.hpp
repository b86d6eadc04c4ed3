#pragma once
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/spec.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace isofold::tools {

/// One question and its tree.
struct Problem {
  Spec spec;
  Fold fold;
};

/// The options by which every sub-command is told what to compute. What is not said is the origin chart's
/// operator: fused add + RMSNorm, N = 8192, bf16.
struct OperatorOptions {
  std::string op = "add_rms_norm";
  std::vector<std::string> n = {"8192"};
  std::string dtype = "bf16";
  std::string weight_dtype, residual_dtype, output_dtype;
  std::string weight_mode = "f32", residual_mode = "f32_sum";
  bool no_weight = false, no_bias = false, weight_offset_one = false, shared_weight = false;
  bool temperature = false, length = false, sink = false;
  std::string quantized_dtype, static_scale;  // static_scale: a number, or "on" for a scale that each launch passes
  std::string eps, groups, scale;  // empty: the operator's default
  std::string spec, fold;
  bool given = false;  // the command line says something of the operator

  /// One problem for each N, in that order; UsageError that says what was passed and what is allowed.
  std::vector<Problem> problems() const;
  /// For sub-commands that work on one.
  Problem problem() const;

  /// The operator over rows of that length, without a look at --spec.
  Spec make_spec(std::int64_t row_length) const;
};

/// A short name of a Spec for people: "add_rms_norm N=8192 bf16".
std::string title_of(const Spec& spec);

}  // namespace isofold::tools
