#include "operator_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <isofold/codegen/named_spec.hpp>
#include <isofold/error.hpp>

#include "named_form.hpp"
#include "numbers.hpp"

namespace isofold::tools {

Spec OperatorOptions::make_spec(std::int64_t row_length) const {
  if (shared_weight && groups.empty() && op != "group_norm" && op != "head_rms_norm")
    throw UsageError("--shared-weight is of groups: --groups COUNT");
  if (shared_weight && no_weight) throw UsageError("--shared-weight and --no-weight: there is no weight to share");
  if (no_weight && no_bias && !weight_dtype.empty()) throw UsageError("--weight-dtype: there is neither a weight nor a bias");
  std::string words;
  const auto add = [&](std::string_view key, std::string_view value, bool given) {
    if (!given) return;
    // Behind a space the text would have another option.
    if (value.find(' ') != value.npos) {
      std::string option(key);
      std::replace(option.begin(), option.end(), '_', '-');
      throw UsageError(fmt::format("--{} is \"{}\"; allowed is one word", option, value));
    }
    words += fmt::format("{}{}={}", words.empty() ? "" : " ", key, value);
  };
  add("output_dtype", output_dtype, !output_dtype.empty());
  add("weight", "off", no_weight);
  add("weight_dtype", weight_dtype, !weight_dtype.empty());
  add("weight_mode", weight_mode, weight_mode != "f32");
  add("weight_offset_one", "on", weight_offset_one);
  add("bias", "off", no_bias);
  add("residual_dtype", residual_dtype, !residual_dtype.empty());
  add("residual_mode", residual_mode, residual_mode != "f32_sum");
  add("eps", eps, !eps.empty());
  add("groups", groups, !groups.empty());
  add("shared_weight", "on", shared_weight);
  add("scale", scale, !scale.empty());
  add("temperature", "on", temperature);
  add("length", "on", length);
  add("sink", "on", sink);
  add("quantized_dtype", quantized_dtype, !quantized_dtype.empty());
  add("static_scale", static_scale, !static_scale.empty());
  return named_spec(op, row_length, named_dtype(dtype), words);
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
  // Variants share a Spec's name: where one has a name of its own, it is the better one.
  const NamedOperator* named = named_form(spec, Constants::ignored);
  return fmt::format("{} N={} {}", named ? named->name : std::string_view(spec.op), spec.n, spec.inputs.empty() ? "" : name_of(spec.inputs[0].dtype));
}

}  // namespace isofold::tools
