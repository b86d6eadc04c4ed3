#include "operator_options.hpp"

#include <fmt/format.h>

#include <charconv>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/error.hpp>

#include "numbers.hpp"

namespace isofold::tools {
namespace {

DType dtype_from(std::string_view option, const std::string& name) {
  if (const auto dtype = parse_dtype(name)) return *dtype;
  throw UsageError(fmt::format("{} is \"{}\"; allowed are f32, bf16 and f16", option, name));
}

std::optional<DType> optional_dtype_from(std::string_view option, const std::string& name) {
  if (name.empty()) return std::nullopt;
  return dtype_from(option, name);
}

float eps_from(const std::string& text) {
  float value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size())
    throw UsageError(fmt::format("--eps is \"{}\"; allowed is a finite number, 0 or more", text));
  return value;
}

template <class Mode>
Mode mode_from(std::string_view option, const std::string& name, std::string_view first, Mode first_mode,
               std::string_view second, Mode second_mode) {
  if (name == first) return first_mode;
  if (name == second) return second_mode;
  throw UsageError(fmt::format("{} is \"{}\"; allowed are {} and {}", option, name, first, second));
}

}  // namespace

void OperatorOptions::add_to(CLI::App& app) {
  const std::string group = "Operator";
  std::vector<CLI::Option*> all;
  const auto option = [&](const char* names, auto& value, const char* meaning) {
    CLI::Option* made = app.add_option(names, value, meaning)->group(group);
    all.push_back(made);
    return made;
  };
  const auto flag = [&](const char* names, bool& value, const char* meaning) {
    CLI::Option* made = app.add_flag(names, value, meaning)->group(group);
    all.push_back(made);
    return made;
  };
  option("--op", op_, "rms_norm or add_rms_norm (default)")->type_name("NAME");
  option("-n,--n", n_, "Row length, or several: 4096,8192 (default 8192)")->delimiter(',')->type_name("N");
  option("--dtype", dtype_, "Of x: f32, bf16 (default) or f16")->type_name("DTYPE");
  option("--weight-dtype", weight_dtype_, "Of the weight (default: x's)")->type_name("DTYPE");
  option("--residual-dtype", residual_dtype_, "Of residual and residual_out (default: x's)")->type_name("DTYPE");
  option("--output-dtype", output_dtype_, "Of y (default: x's)")->type_name("DTYPE");
  option("--weight-mode", weight_mode_, "Multiply by the weight in f32 (default) or after_cast to y's dtype")
      ->type_name("MODE");
  option("--residual-mode", residual_mode_, "Normalise the f32_sum (default) or the rounded_sum as it is stored")
      ->type_name("MODE");
  flag("--no-weight", no_weight_, "Do not multiply by a weight");
  flag("--weight-offset-one", weight_offset_one_, "Multiply by 1 + weight, as Gemma does");
  option("--eps", eps_, "Added to the mean square (default 1e-6)")->type_name("EPS");
  CLI::Option* spec = app.add_option("--spec", spec_, "Any Spec in its one-line text form, instead of the above")
                          ->type_name("TEXT")
                          ->group(group);
  CLI::Option* fold = app.add_option("--fold", fold_, "Another reduction tree, for example \"leaf=8 lanes=32 segments=16\"")
                          ->type_name("TEXT")
                          ->group(group);
  for (CLI::Option* other : all) spec->excludes(other);
  all.push_back(spec);
  all.push_back(fold);
  unset_ = [all] {
    for (const CLI::Option* given : all)
      if (given->count() > 0) return false;
    return true;
  };
}

Spec OperatorOptions::make_spec(std::int64_t n) const {
  RmsNormOptions o;
  o.n = n;
  o.residual = mode_from("--op", op_, "add_rms_norm", true, "rms_norm", false);
  o.dtype = dtype_from("--dtype", dtype_);
  o.output_dtype = optional_dtype_from("--output-dtype", output_dtype_);
  o.weight = !no_weight_;
  o.weight_dtype = optional_dtype_from("--weight-dtype", weight_dtype_);
  o.weight_mode =
      mode_from("--weight-mode", weight_mode_, "f32", WeightMode::f32, "after_cast", WeightMode::after_cast);
  o.weight_offset_one = weight_offset_one_;
  o.residual_dtype = optional_dtype_from("--residual-dtype", residual_dtype_);
  o.residual_mode = mode_from("--residual-mode", residual_mode_, "f32_sum", ResidualMode::f32_sum, "rounded_sum",
                              ResidualMode::rounded_sum);
  o.eps = eps_from(eps_);
  if (!o.weight && (o.weight_dtype || o.weight_offset_one || o.weight_mode != WeightMode::f32))
    throw UsageError("--no-weight goes with no other option of the weight");
  if (!o.residual && (o.residual_dtype || o.residual_mode != ResidualMode::f32_sum))
    throw UsageError("--op rms_norm has no residual; --op add_rms_norm has");
  return rms_norm(o);
}

std::vector<Problem> OperatorOptions::problems() const {
  std::vector<Problem> all;
  const auto add = [&](Spec spec) {
    const Fold fold = fold_.empty() ? default_fold(spec) : parse_fold(fold_);
    all.push_back({std::move(spec), fold});
  };
  if (!spec_.empty())
    add(parse_spec(spec_));
  else
    for (const std::string& n : n_) add(make_spec(parse_whole("-n", n, 1, max_row_length)));
  return all;
}

Problem OperatorOptions::problem() const {
  std::vector<Problem> all = problems();
  if (all.size() != 1) throw UsageError(fmt::format("-n has {} values; this sub-command takes one", all.size()));
  return std::move(all.front());
}

std::string title_of(const Spec& spec) {
  return fmt::format("{} N={} {}", spec.op, spec.n, spec.inputs.empty() ? "" : name_of(spec.inputs[0].dtype));
}

}  // namespace isofold::tools
