#include <isofold/codegen/layer_norm.hpp>
#include <isofold/codegen/named_spec.hpp>
#include <isofold/codegen/operators.hpp>
#include <isofold/codegen/quantize.hpp>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/codegen/row_reduction.hpp>
#include <isofold/codegen/softmax.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "key_values.hpp"

namespace isofold {
namespace {

std::optional<DType> dtype_of(std::string_view name) {
  const auto dtype = parse_dtype(name);
  return dtype && *dtype != DType::i32 ? dtype : std::nullopt;
}

std::string dtype_allowed(std::string_view what, std::string_view name) {
  std::string names;
  for (const DType dtype : all_dtypes)
    if (dtype != DType::i32) names += fmt::format("{}{}", names.empty() ? "" : ", ", name_of(dtype));
  return fmt::format("{} is \"{}\"; allowed are {}", what, name.substr(0, 100), names);
}

/// Options by name; what is absent leaves a value as it is.
class NamedOptions {
 public:
  NamedOptions(std::string_view name, std::string_view text) : values_(fmt::format("options of {}", name), text) {}

  void read(std::string_view key, bool& value) {
    if (const auto word = values_.optional_word(key)) value = choice(key, *word, {"off", "on"}) == 1;
  }
  void read(std::string_view key, float& value) {
    if (const auto word = values_.optional_word(key)) value = number<float>(key, *word, "a number");
  }
  void read(std::string_view key, int& value) {
    if (const auto word = values_.optional_word(key)) value = number<int>(key, *word, "a whole number");
  }
  void read(std::string_view key, std::optional<DType>& value) {
    const auto word = values_.optional_word(key);
    if (!word) return;
    value = dtype_of(*word);
    if (!value) values_.fail(dtype_allowed(key, *word));
  }
  /// The mode's enumerators in order.
  template <class Mode>
    requires std::is_enum_v<Mode>
  void read(std::string_view key, Mode& value, const std::vector<std::string_view>& names) {
    if (const auto word = values_.optional_word(key)) value = static_cast<Mode>(choice(key, *word, names));
  }
  /// A number that is part of the Spec; on: one that each call passes; off: a scale of each row.
  void read_static_scale(Quantize& quantize) {
    constexpr std::string_view key = "static_scale";
    const auto word = values_.optional_word(key);
    if (!word) return;
    quantize.scale_input = *word == "on";
    if (*word != "on" && *word != "off") quantize.static_scale = number<float>(key, *word, "a number, on or off");
  }
  void finish() const { values_.finish(); }

 private:
  std::size_t choice(std::string_view key, const std::string& word, const std::vector<std::string_view>& names) const {
    std::string allowed;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == word) return i;
      allowed += fmt::format("{}{}", i == 0 ? "" : ", ", names[i]);
    }
    values_.fail(fmt::format("{} is \"{}\"; allowed are {}", key, word, allowed));
  }
  template <class Number>
  Number number(std::string_view key, const std::string& word, std::string_view what) const {
    Number value{};
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (word.empty() || error != std::errc() || end != word.data() + word.size())
      values_.fail(fmt::format("{} is \"{}\"; allowed is {}", key, word, what));
    return value;
  }

  KeyValues values_;
};

const NamedOperator& find_named(std::string_view name) {
  std::string names;
  for (const NamedOperator& named : named_operators()) {
    if (named.name == name) return named;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", named.name);
  }
  throw UsageError(fmt::format("there is no operator \"{}\"; allowed are {}", name.substr(0, 100), names));
}

template <class Norm>
void read_norm(NamedOptions& options, Norm& norm) {
  options.read("output_dtype", norm.output_dtype);
  options.read("weight", norm.weight);
  options.read("weight_dtype", norm.weight_dtype);
  if (norm.residual) {
    options.read("residual_dtype", norm.residual_dtype);
    options.read("residual_mode", norm.residual_mode, {"f32_sum", "rounded_sum"});
  }
  options.read("eps", norm.eps);
  options.read("groups", norm.groups);
  options.read("shared_weight", norm.shared_weight);
}

void read_quantize(NamedOptions& options, Quantize& quantize) {
  std::optional<DType> dtype;
  options.read("quantized_dtype", dtype);
  if (dtype) quantize.dtype = *dtype;
  options.read_static_scale(quantize);
}

Spec named_rms_norm(std::string_view name, std::int64_t n, DType dtype, NamedOptions& options) {
  RmsNormOptions norm{.n = n, .dtype = dtype, .residual = name.starts_with("add_"), .gated = name.starts_with("gated_")};
  if (name == "head_rms_norm") {
    norm.groups = 16;
    norm.shared_weight = true;
  }
  if (name.find("_quant") != name.npos)
    norm.quantize = Quantize{.dtype = name.ends_with("_i8") ? DType::i8 : DType::e4m3, .scale_input = name.ends_with("_static_quant")};
  read_norm(options, norm);
  options.read("weight_mode", norm.weight_mode, {"f32", "after_cast"});
  options.read("weight_offset_one", norm.weight_offset_one);
  if (norm.quantize) read_quantize(options, *norm.quantize);
  options.finish();
  if (!norm.weight && (norm.weight_dtype || norm.weight_offset_one || norm.weight_mode != WeightMode::f32))
    throw UsageError(fmt::format("{}: there is no weight (weight=off), so no weight_dtype, weight_mode or weight_offset_one", name));
  return rms_norm(norm);
}

Spec named_layer_norm(std::string_view name, std::int64_t n, DType dtype, NamedOptions& options) {
  LayerNormOptions norm{.n = n, .dtype = dtype, .residual = name.starts_with("add_")};
  if (name == "group_norm") norm.groups = 8;
  read_norm(options, norm);
  options.read("bias", norm.bias);
  options.finish();
  return layer_norm(norm);
}

Spec named_softmax(std::string_view name, std::int64_t n, DType dtype, NamedOptions& options) {
  SoftmaxOptions made{.n = n, .dtype = dtype, .log = name == "log_softmax", .length = name == "masked_softmax", .sink = name == "sink_softmax"};
  options.read("output_dtype", made.output_dtype);
  options.read("scale", made.scale);
  options.read("temperature", made.temperature);
  options.read("length", made.length);
  options.read("sink", made.sink);
  options.finish();
  return softmax(made);
}

}  // namespace

DType named_dtype(std::string_view name) {
  if (const auto dtype = dtype_of(name)) return *dtype;
  throw UsageError(dtype_allowed("dtype", name));
}

Spec named_spec(std::string_view name, std::int64_t n, DType dtype, std::string_view text) {
  const NamedOperator& named = find_named(name);
  NamedOptions options(name, text);
  if (name.find("rms_norm") != name.npos) return named_rms_norm(name, n, dtype, options);
  if (name.ends_with("_norm")) return named_layer_norm(name, n, dtype, options);
  if (name.ends_with("softmax")) return named_softmax(name, n, dtype, options);
  if (name.starts_with("silu_and_mul_")) {
    SiluAndMulQuantOptions made{.n = n, .dtype = dtype, .quantize = {.scale_input = name.ends_with("_static_quant")}};
    read_quantize(options, made.quantize);
    options.finish();
    return silu_and_mul_quant(made);
  }
  for (const RowReduction reduction : all_row_reductions) {
    if (name_of(reduction) != name) continue;
    RowReductionOptions made{.reduction = reduction, .n = n, .dtype = dtype};
    options.read("output_dtype", made.output_dtype);
    options.finish();
    return row_reduction(made);
  }
  options.finish();
  return named.make(n, dtype);
}

}  // namespace isofold
