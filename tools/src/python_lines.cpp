#include "python_lines.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "named_form.hpp"
#include "python_scripts.hpp"

namespace isofold::tools {
namespace {

/// name:dtype:extent:groups of every input, as baselines.py takes them.
std::string inputs_of(const Spec& spec) {
  std::vector<std::string> parts;
  for (const Tensor& tensor : spec.inputs)
    parts.push_back(fmt::format("{}:{}:{}:{}", tensor.name, name_of(tensor.dtype), name_of(tensor.extent),
                                tensor.groups));
  return fmt::format("{}", fmt::join(parts, ","));
}

/// Times, or a reason; of a line that ended early both.
void take_line(const Json& json, const std::vector<std::int64_t>& tokens, std::vector<BenchLine>& lines) {
  for (BenchLine& line : lines) {
    if (json.at("key").get<std::string>() != line.key) continue;
    if (json.contains("missing")) {
      line.missing = json.at("missing").get<std::string>();
      return;
    }
    const auto place = static_cast<std::size_t>(
        std::find(tokens.begin(), tokens.end(), json.at("tokens").get<std::int64_t>()) - tokens.begin());
    line.missing.clear();
    line.kernel.resize(tokens.size(), -1.0);
    line.call.resize(tokens.size(), -1.0);
    line.call.at(place) = json.at("call_us").get<double>();
    line.kernel.at(place) = json.value("gpu_us", -1.0);
  }
}

}  // namespace

PythonLines missing_python_lines(const Spec& spec, const std::string& why) {
  const auto line = [&](const char* key, const char* name) { return BenchLine{key, name, {}, {}, {}, why}; };
  const BenchLine compile = line("compile", "PyTorch (torch.compile)");
  // The names of the chart that the project started from. Only what is known to be batch-invariant is called
  // so.
  if (spec.op == "rms_norm" || spec.op == "add_rms_norm")
    return {{line("python", "Batch-invariant (Python)"), line("native", "PyTorch (native)"), compile,
             line("triton", "Batch-invariant (Triton)")},
            {}};
  return {{line("python", "PyTorch (eager)"), compile, line("triton", "Triton (row per program)")}, {}};
}

PythonLines measure_python_lines(const Spec& spec, const std::vector<std::int64_t>& tokens, bool gpu) {
  const NamedOperator* named = named_form(spec, Constants::ignored);
  if (!named)
    return missing_python_lines(spec, "exists for the named operators with their default options only");
  PythonLines result = missing_python_lines(spec, "the script said nothing of it");
  std::vector<std::string> keys;
  for (const BenchLine& line : result.lines) keys.push_back(line.key);
  const ScriptRun run = run_script(
      "baselines.py", {"--op", std::string(named->name), "--n", std::to_string(spec.n), "--inputs",
                       inputs_of(spec), "--tokens", fmt::format("{}", fmt::join(tokens, ",")), "--lines",
                       fmt::format("{}", fmt::join(keys, ",")), "--device", gpu ? "cuda" : "cpu"});
  if (!run.failure.empty()) result = missing_python_lines(spec, run.failure);
  result.versions = versions_of(run);
  for (const Json& line : run.lines)
    if (line.contains("key")) take_line(line, tokens, result.lines);
  // On the CPU there is one time: that of the call.
  if (!gpu)
    for (BenchLine& line : result.lines) line.kernel = std::exchange(line.call, {});
  return result;
}

}  // namespace isofold::tools
