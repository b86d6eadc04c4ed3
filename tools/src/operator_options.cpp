#include "operator_options.hpp"

#include <fmt/format.h>

#include <charconv>
#include <isofold/codegen/layer_norm.hpp>
#include <isofold/codegen/operators.hpp>
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

const NamedOperator& named_operator(const std::string& name) {
  std::string names;
  for (const NamedOperator& named : named_operators()) {
    if (named.name == name) return named;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", named.name);
  }
  throw UsageError(fmt::format("--op is \"{}\"; allowed are {}", name, names));
}

/// What all norms have in common.
template <class Norm>
Norm norm_from(const OperatorOptions& from, std::int64_t row_length, bool residual) {
  Norm o;
  o.n = row_length;
  o.residual = residual;
  o.dtype = dtype_from("--dtype", from.dtype);
  o.output_dtype = optional_dtype_from("--output-dtype", from.output_dtype);
  o.weight = !from.no_weight;
  o.weight_dtype = optional_dtype_from("--weight-dtype", from.weight_dtype);
  o.residual_dtype = optional_dtype_from("--residual-dtype", from.residual_dtype);
  o.residual_mode = mode_from("--residual-mode", from.residual_mode, "f32_sum", ResidualMode::f32_sum,
                              "rounded_sum", ResidualMode::rounded_sum);
  if (!from.eps.empty()) o.eps = eps_from(from.eps);
  if (!residual && (o.residual_dtype || o.residual_mode != ResidualMode::f32_sum))
    throw UsageError(fmt::format("--op {0} has no residual; --op add_{0} has", from.op));
  return o;
}

}  // namespace

Spec OperatorOptions::make_spec(std::int64_t row_length) const {
  if (op == "rms_norm" || op == "add_rms_norm") return make_rms_norm(row_length);
  if (op == "layer_norm" || op == "add_layer_norm") return make_layer_norm(row_length);
  const NamedOperator& named = named_operator(op);
  if (!output_dtype.empty() || !weight_dtype.empty() || !residual_dtype.empty() || !eps.empty() || no_weight || no_bias ||
      weight_offset_one || weight_mode != "f32" || residual_mode != "f32_sum")
    throw UsageError(fmt::format("--op {}: takes -n and --dtype alone; its other forms are Specs: --spec", op));
  return named.make(row_length, dtype_from("--dtype", dtype));
}

Spec OperatorOptions::make_layer_norm(std::int64_t row_length) const {
  auto o = norm_from<LayerNormOptions>(*this, row_length, op == "add_layer_norm");
  o.bias = !no_bias;
  if (weight_offset_one || weight_mode != "f32")
    throw UsageError("--weight-offset-one and --weight-mode belong to rms_norm");
  return layer_norm(o);
}

Spec OperatorOptions::make_rms_norm(std::int64_t row_length) const {
  auto o = norm_from<RmsNormOptions>(*this, row_length, op == "add_rms_norm");
  o.weight_mode =
      mode_from("--weight-mode", weight_mode, "f32", WeightMode::f32, "after_cast", WeightMode::after_cast);
  o.weight_offset_one = weight_offset_one;
  if (no_bias) throw UsageError("--no-bias belongs to layer_norm");
  if (!o.weight && (o.weight_dtype || o.weight_offset_one || o.weight_mode != WeightMode::f32))
    throw UsageError("--no-weight goes with no other option of the weight");
  return rms_norm(o);
}

std::vector<Problem> OperatorOptions::problems() const {
  std::vector<Problem> all;
  const auto add = [&](Spec made) {
    const Fold tree = fold.empty() ? default_fold(made) : parse_fold(fold);
    all.push_back({std::move(made), tree});
  };
  if (!spec.empty())
    add(parse_spec(spec));
  else
    for (const std::string& length : n) add(make_spec(parse_whole("-n", length, 1, max_row_length)));
  return all;
}

Problem OperatorOptions::problem() const {
  std::vector<Problem> all = problems();
  if (all.size() != 1)
    throw UsageError(fmt::format("-n has {} values; this sub-command takes one", all.size()));
  return std::move(all.front());
}

std::string title_of(const Spec& spec) {
  return fmt::format("{} N={} {}", spec.op, spec.n, spec.inputs.empty() ? "" : name_of(spec.inputs[0].dtype));
}

}  // namespace isofold::tools
