#include "operator_options.hpp"

#include <fmt/format.h>

#include <charconv>
#include <isofold/codegen/layer_norm.hpp>
#include <isofold/codegen/operators.hpp>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/codegen/row_reduction.hpp>
#include <isofold/codegen/softmax.hpp>
#include <isofold/error.hpp>

#include "numbers.hpp"

namespace isofold::tools {
namespace {

DType dtype_from(std::string_view option, const std::string& name) {
  if (const auto dtype = parse_dtype(name); dtype && dtype != DType::i32) return *dtype;
  std::string names;
  for (const DType dtype : all_dtypes)
    if (dtype != DType::i32) names += fmt::format("{}{}", names.empty() ? "" : ", ", name_of(dtype));
  throw UsageError(fmt::format("{} is \"{}\"; allowed are {}", option, name, names));
}

std::optional<DType> optional_dtype_from(std::string_view option, const std::string& name) {
  if (name.empty()) return std::nullopt;
  return dtype_from(option, name);
}

float number_from(std::string_view option, const std::string& text, std::string_view allowed) {
  float value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size())
    throw UsageError(fmt::format("{} is \"{}\"; allowed is {}", option, text, allowed));
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
  if (!from.eps.empty()) o.eps = number_from("--eps", from.eps, "a finite number, 0 or more");
  if (!from.groups.empty()) o.groups = static_cast<int>(parse_whole("--groups", from.groups, 1, max_groups));
  o.shared_weight = from.shared_weight;
  if (!residual && (o.residual_dtype || o.residual_mode != ResidualMode::f32_sum))
    throw UsageError(fmt::format("--op {} has no residual", from.op));
  return o;
}

}  // namespace

Spec OperatorOptions::make_spec(std::int64_t row_length) const {
  const bool of_softmax = op.ends_with("softmax"), of_norm = op.ends_with("_norm") || op.find("rms_norm") != op.npos;
  if (!of_softmax && (!scale.empty() || temperature)) throw UsageError("--scale and --temperature belong to softmax");
  if (!of_norm && (!weight_dtype.empty() || !residual_dtype.empty() || !eps.empty() || !groups.empty() || no_weight || no_bias ||
                   shared_weight || weight_offset_one || weight_mode != "f32" || residual_mode != "f32_sum"))
    throw UsageError(fmt::format("--op {}: weights, residuals, eps and groups belong to norms", op));
  const NamedOperator& named = named_operator(op);
  if (op.find("rms_norm") != op.npos) return make_rms_norm(row_length);
  if (of_norm) return make_layer_norm(row_length);
  if (of_softmax) return make_softmax(row_length);
  const DType of_x = dtype_from("--dtype", dtype);
  const auto of_y = optional_dtype_from("--output-dtype", output_dtype);
  for (const RowReduction reduction : all_row_reductions)
    if (name_of(reduction) == op) return row_reduction({.reduction = reduction, .n = row_length, .dtype = of_x, .output_dtype = of_y});
  if (of_y) throw UsageError(fmt::format("--op {}: has no --output-dtype", op));
  return named.make(row_length, of_x);
}

Spec OperatorOptions::make_softmax(std::int64_t row_length) const {
  return softmax({.n = row_length,
                  .dtype = dtype_from("--dtype", dtype),
                  .output_dtype = optional_dtype_from("--output-dtype", output_dtype),
                  .log = op == "log_softmax",
                  .scale = scale.empty() ? 1.0f : number_from("--scale", scale, "a finite number"),
                  .temperature = temperature,
                  .length = op == "masked_softmax",
                  .sink = op == "sink_softmax"});
}

Spec OperatorOptions::make_layer_norm(std::int64_t row_length) const {
  auto o = norm_from<LayerNormOptions>(*this, row_length, op.starts_with("add_"));
  o.bias = !no_bias;
  if (op == "group_norm" && groups.empty()) o.groups = 8;
  if (weight_offset_one || weight_mode != "f32")
    throw UsageError("--weight-offset-one and --weight-mode belong to rms_norm");
  return layer_norm(o);
}

Spec OperatorOptions::make_rms_norm(std::int64_t row_length) const {
  auto o = norm_from<RmsNormOptions>(*this, row_length, op.starts_with("add_"));
  o.weight_mode =
      mode_from("--weight-mode", weight_mode, "f32", WeightMode::f32, "after_cast", WeightMode::after_cast);
  o.weight_offset_one = weight_offset_one;
  o.gated = op.starts_with("gated_");
  if (op == "head_rms_norm") {
    if (groups.empty()) o.groups = 16;
    o.shared_weight = true;
  }
  if (op.find("_quant") != op.npos)
    o.quantize = Quantize{.dtype = op.ends_with("_i8") ? DType::i8 : DType::e4m3, .scale_input = op.ends_with("_static_quant")};
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
    for (const std::string& length : n) add(make_spec(parse_whole("-n", length, 0, max_row_length)));
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
