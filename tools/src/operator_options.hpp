#pragma once
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/spec.hpp>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace isofold::tools {

/// One question and its tree.
struct Problem {
  Spec spec;
  Fold fold;
};

/// The options by which every sub-command is told what to compute. What is not said is the origin chart's operator:
/// fused add + RMSNorm, N = 8192, bf16.
struct OperatorOptions {
  void add_to(CLI::App& app);

  /// One problem for each N that was given, in that order; UsageError that says what was passed and what is allowed.
  std::vector<Problem> problems() const;
  /// For sub-commands that work on one.
  Problem problem() const;
  /// True when the command line says nothing of the operator.
  bool unset() const { return unset_(); }

 private:
  Spec make_spec(std::int64_t n) const;

  std::string op_ = "add_rms_norm";
  std::vector<std::string> n_ = {"8192"};
  std::string dtype_ = "bf16";
  std::string weight_dtype_, residual_dtype_, output_dtype_;
  std::string weight_mode_ = "f32", residual_mode_ = "f32_sum";
  bool no_weight_ = false, weight_offset_one_ = false;
  std::string eps_ = "1e-6";
  std::string spec_, fold_;
  std::function<bool()> unset_ = [] { return true; };
};

/// A short name of a Spec for people: "add_rms_norm N=8192 bf16".
std::string title_of(const Spec& spec);

}  // namespace isofold::tools
