#include "command_parts.hpp"

#include <charconv>
#include <isofold/isofold.hpp>

namespace isofold::tools {
namespace {

/// Says what is allowed, which CLI11's own range leaves out for text that is no number.
struct Seconds : CLI::Validator {
  Seconds() {
    func_ = [](std::string& text) {
      double value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      const bool number = !text.empty() && error == std::errc() && end == text.data() + text.size();
      if (number && value >= 0.1 && value <= 86400) return std::string();
      return fmt::format("\"{}\"; allowed is a number from 0.1 to 86400", text);
    };
  }
};

std::string named_list() {
  std::string names;
  for (const NamedOperator& named : named_operators())
    names += fmt::format("{}{}{}", names.empty() ? "" : ", ", named.name, named.name == "add_rms_norm" ? " (default)" : "");
  return names;
}

}  // namespace

void add_text(CLI::App& app, const char* names, std::string& value, const char* type, const char* meaning) {
  app.add_option(names, value, meaning)->type_name(type);
}

void add_choice(CLI::App& app, const char* names, std::string& value, std::vector<std::string> choices,
                const char* meaning) {
  app.add_option(names, value, meaning)->check(CLI::IsMember(std::move(choices)))->type_name("WHAT");
}

void add_seconds(CLI::App& app, double& value, const char* meaning) {
  app.add_option("--seconds", value, meaning)->check(Seconds())->type_name("SECONDS");
}

void add_operator(CLI::App& app, OperatorOptions& op) {
  std::vector<CLI::Option*> all;
  const auto option = [&](const char* names, auto& value, const char* type, const char* meaning) {
    // An empty value is a variable that was not set, not a wish for the default.
    const auto given = [](const std::string& text) { return std::string(text.empty() ? "the value is empty" : ""); };
    all.push_back(app.add_option(names, value, meaning)->type_name(type)->group("Operator")->check(CLI::Validator(given, "")));
    return all.back();
  };
  const auto flag = [&](const char* names, bool& value, const char* meaning) {
    all.push_back(app.add_flag(names, value, meaning)->group("Operator"));
  };
  option("--op", op.op, "NAME",
         named_list().c_str());
  option("-n,--n", op.n, "N", "Row length, or several: 4096,8192 (default 8192)")->delimiter(',');
  option("--dtype", op.dtype, "DTYPE", "Of x: f32, bf16 (default), f16, e4m3, i8; f64 for row reductions");
  option("--weight-dtype", op.weight_dtype, "DTYPE", "Of the weight and the bias (default: x's)");
  option("--residual-dtype", op.residual_dtype, "DTYPE", "Of residual and residual_out (default: x's)");
  option("--output-dtype", op.output_dtype, "DTYPE", "Of y (default: x's)");
  option("--weight-mode", op.weight_mode, "MODE",
         "Multiply by the weight in f32 (default) or after_cast to y's dtype");
  option("--residual-mode", op.residual_mode, "MODE",
         "Normalise the f32_sum (default) or the rounded_sum as it is stored");
  flag("--no-weight", op.no_weight, "Do not multiply by a weight");
  flag("--no-bias", op.no_bias, "layer_norm: do not add a bias");
  flag("--weight-offset-one", op.weight_offset_one, "rms_norm: multiply by 1 + weight, as Gemma does");
  option("--eps", op.eps, "EPS", "Added to the mean square (default 1e-6) or the variance (1e-5)");
  option("--groups", op.groups, "COUNT", "Norms: rows of COUNT * N elements are normalised in pieces of N");
  flag("--shared-weight", op.shared_weight, "Norms: one weight of N elements for all groups");
  option("--scale", op.scale, "NUMBER", "Softmax: x is multiplied by it (default 1)");
  flag("--temperature", op.temperature, "Softmax: divided by a number per token");
  flag("--length", op.length, "Softmax: of each row's first elements, a number per token");
  flag("--sink", op.sink, "softmax: with an attention sink, a number per token");
  option("--quantized-dtype", op.quantized_dtype, "DTYPE", "Of y where it is quantised: e4m3, i8 (default: as --op says)");
  CLI::Option* const static_scale = option("--static-scale", op.static_scale, "NUMBER",
                                           "Quantised by one scale for all rows: NUMBER, or without it one that each launch passes");
  static_scale->expected(0, 1)->default_str("on")->option_text("[NUMBER]");
  const std::vector<CLI::Option*> parts = all;
  CLI::Option* spec =
      option("--spec", op.spec, "TEXT", "Any Spec in its one-line text form, instead of the above");
  for (CLI::Option* part : parts) spec->excludes(part);
  option("--fold", op.fold, "TEXT", "Another reduction tree, for example \"leaf=8 lanes=32 segments=16\"");
  app.parse_complete_callback([&op, all, static_scale] {
    // CLI11 has no validator look at the empty value of an option that may have none.
    if (static_scale->count() > 0 && op.static_scale.empty()) throw CLI::ValidationError("--static-scale", "the value is empty");
    for (const CLI::Option* given : all) op.given = op.given || given->count() > 0;
  });
}

}  // namespace isofold::tools
