#include "named_specs.hpp"

#include <isofold/codegen/layer_norm.hpp>
#include <isofold/codegen/operators.hpp>
#include <isofold/codegen/quantize.hpp>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/codegen/row_reduction.hpp>
#include <isofold/codegen/softmax.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace isofold::python {
namespace nb = nanobind;
namespace {

constexpr std::pair<std::string_view, DType> other_names[] = {
    {"float32", DType::f32},        {"bfloat16", DType::bf16}, {"float16", DType::f16},
    {"float8_e4m3fn", DType::e4m3}, {"int8", DType::i8},       {"int32", DType::i32},
    {"float64", DType::f64}};

/// Takes options by name; what is left at the end was none.
class Options {
 public:
  Options(std::string op, const nb::dict& given) : op_(std::move(op)), given_(given) {}

  void take(const char* name, bool& field) { get<bool>(name, field, "True or False"); }
  void take(const char* name, int& field) { get<int>(name, field, "a whole number"); }
  void take(const char* name, float& field) {
    double value = static_cast<double>(field);
    get<double>(name, value, "a number");
    field = static_cast<float>(value);
  }
  void take(const char* name, std::optional<float>& field) {
    if (absent(name)) return;
    float value = 0;
    take_again(name, value);
    field = value;
  }
  void take(const char* name, std::optional<DType>& field) {
    if (absent(name)) return;
    field = dtype_from(nb::str(given_[name]).c_str(), name);
  }
  template <class Enum>
  void take(const char* name, Enum& field, std::string_view first, Enum first_value, std::string_view second,
            Enum second_value) {
    if (absent(name)) return;
    const std::string value = nb::str(given_[name]).c_str();
    if (value != first && value != second)
      throw UsageError(
          fmt::format("{}: {} is \"{}\"; allowed are \"{}\" and \"{}\"", op_, name, value, first, second));
    field = value == first ? first_value : second_value;
  }
  void finish() const {
    for (const auto& [key, value] : given_) {
      const std::string name = nb::str(key).c_str();
      if (std::find(known_.begin(), known_.end(), name) == known_.end())
        throw UsageError(known_.empty() ? fmt::format("{} has no options, \"{}\" was passed", op_, name)
                                        : fmt::format("{} has no option \"{}\"; it has {}", op_, name,
                                                      fmt::join(known_, ", ")));
    }
  }

 private:
  /// Not given, or None: the default.
  bool absent(const char* name) {
    known_.emplace_back(name);
    return !given_.contains(name) || nb::object(given_[name]).is_none();
  }
  template <class T>
  void get(const char* name, T& field, const char* allowed) {
    if (absent(name)) return;
    if (!nb::try_cast(nb::handle(nb::object(given_[name])), field))
      throw nb::type_error(
          fmt::format("{}: {} is {}, it must be {}", op_, name, nb::repr(given_[name]).c_str(), allowed)
              .c_str());
  }
  void take_again(const char* name, float& field) {
    known_.pop_back();
    take(name, field);
  }

  std::string op_;
  nb::dict given_;
  std::vector<std::string> known_;
};

bool has(const std::string& name, std::string_view part) { return name.find(part) != std::string::npos; }

template <class Norm>
void take_norm(Options& options, Norm& norm) {
  options.take("output_dtype", norm.output_dtype);
  options.take("weight", norm.weight);
  options.take("weight_dtype", norm.weight_dtype);
  options.take("residual_dtype", norm.residual_dtype);
  options.take("residual_mode", norm.residual_mode, "f32_sum", ResidualMode::f32_sum, "rounded_sum",
               ResidualMode::rounded_sum);
  options.take("eps", norm.eps);
  options.take("groups", norm.groups);
  options.take("shared_weight", norm.shared_weight);
}

void take_quantize(Options& options, Quantize& quantize) {
  std::optional<DType> dtype;
  options.take("quantized_dtype", dtype);
  if (dtype) quantize.dtype = *dtype;
  options.take("static_scale", quantize.static_scale);
}

Spec make_rms_norm(const std::string& name, std::int64_t n, DType dtype, Options& options) {
  RmsNormOptions norm{.n = n, .dtype = dtype, .residual = name.starts_with("add_")};
  norm.gated = name.starts_with("gated_");
  if (name == "head_rms_norm") {
    norm.groups = 16;
    norm.shared_weight = true;
  }
  if (has(name, "_quant")) {
    Quantize quantize{.dtype = name.ends_with("_i8") ? DType::i8 : DType::e4m3,
                      .scale_input = name.ends_with("_static_quant")};
    take_quantize(options, quantize);
    if (quantize.static_scale) quantize.scale_input = false;
    norm.quantize = quantize;
  }
  take_norm(options, norm);
  options.take("weight_mode", norm.weight_mode, "f32", WeightMode::f32, "after_cast", WeightMode::after_cast);
  options.take("weight_offset_one", norm.weight_offset_one);
  options.finish();
  return rms_norm(norm);
}

Spec make_layer_norm(const std::string& name, std::int64_t n, DType dtype, Options& options) {
  LayerNormOptions norm{.n = n, .dtype = dtype, .residual = name.starts_with("add_")};
  if (name == "group_norm") norm.groups = 8;
  take_norm(options, norm);
  options.take("bias", norm.bias);
  options.finish();
  return layer_norm(norm);
}

Spec make_softmax(const std::string& name, std::int64_t n, DType dtype, Options& options) {
  SoftmaxOptions made{.n = n, .dtype = dtype, .log = name == "log_softmax"};
  made.length = name == "masked_softmax";
  made.sink = name == "sink_softmax";
  options.take("output_dtype", made.output_dtype);
  options.take("scale", made.scale);
  options.take("temperature", made.temperature);
  options.take("length", made.length);
  options.take("sink", made.sink);
  options.finish();
  return softmax(made);
}

}  // namespace

DType dtype_from(const std::string& given, const char* option) {
  const std::string name = given.starts_with("torch.") ? given.substr(6) : given;
  if (const auto dtype = parse_dtype(name)) return *dtype;
  for (const auto& [other, dtype] : other_names)
    if (name == other) return dtype;
  std::vector<std::string_view> names;
  for (const DType dtype : all_dtypes) names.push_back(name_of(dtype));
  throw UsageError(fmt::format("{} is \"{}\"; allowed are {}", option, given, fmt::join(names, ", ")));
}

Spec named_spec(const std::string& name, std::int64_t n, const std::string& dtype_name,
                const nb::dict& given) {
  const DType dtype = dtype_from(dtype_name, "dtype");
  std::vector<std::string_view> names;
  const NamedOperator* named = nullptr;
  for (const NamedOperator& one : named_operators()) {
    names.push_back(one.name);
    if (one.name == name) named = &one;
  }
  if (named == nullptr)
    throw UsageError(fmt::format("\"{}\" is neither a Spec nor the name of an operator; the names are {}",
                                 name, fmt::join(names, ", ")));
  Options options(name, given);
  if (has(name, "rms_norm")) return make_rms_norm(name, n, dtype, options);
  if (has(name, "layer_norm") || name == "group_norm") return make_layer_norm(name, n, dtype, options);
  if (has(name, "softmax")) return make_softmax(name, n, dtype, options);
  if (has(name, "silu_and_mul")) {
    SiluAndMulQuantOptions made{.n = n, .dtype = dtype, .quantize = {.scale_input = has(name, "_static_")}};
    take_quantize(options, made.quantize);
    if (made.quantize.static_scale) made.quantize.scale_input = false;
    options.finish();
    return silu_and_mul_quant(made);
  }
  for (const RowReduction reduction : all_row_reductions) {
    if (name_of(reduction) != name) continue;
    RowReductionOptions made{.reduction = reduction, .n = n, .dtype = dtype};
    options.take("output_dtype", made.output_dtype);
    options.finish();
    return row_reduction(made);
  }
  options.finish();
  return named->make(n, dtype);
}

}  // namespace isofold::python
