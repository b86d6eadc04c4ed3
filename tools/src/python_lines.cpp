#include "python_lines.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <isofold/codegen/rms_norm.hpp>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "programs.hpp"

namespace isofold {

/// The files of tools/ that are part of the command; the build makes it.
const std::vector<std::pair<std::string_view, std::string_view>>& embedded_scripts();

namespace tools {
namespace {

/// The script knows the operator with a weight and everything in one dtype; eps does not matter for the time.
bool script_knows(const Spec& spec) {
  RmsNormOptions options;
  options.n = spec.n;
  options.dtype = spec.inputs[0].dtype;
  options.residual = spec.op == "add_rms_norm";
  const Spec plain = rms_norm(options);
  return spec.op == plain.op && spec.inputs == plain.inputs && spec.outputs.size() == plain.outputs.size();
}

/// The last line that says something, for a script that failed.
std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \n");
  if (end == text.npos) return "no message";
  const std::size_t start = text.rfind('\n', end);
  return text.substr(start == text.npos ? 0 : start + 1, end - (start == text.npos ? 0 : start));
}

void take_line(const Json& json, const std::vector<std::int64_t>& tokens, std::vector<BenchLine>& lines) {
  for (BenchLine& line : lines) {
    if (json.at("key").get<std::string>() != line.key) continue;
    if (json.contains("missing")) {
      line.missing = json.at("missing").get<std::string>();
      return;
    }
    const auto place =
        std::find(tokens.begin(), tokens.end(), json.at("tokens").get<std::int64_t>()) - tokens.begin();
    const double call = json.at("call_us").get<double>();
    line.missing.clear();
    line.kernel.resize(tokens.size(), -1.0);
    line.call.resize(tokens.size(), -1.0);
    line.call.at(static_cast<std::size_t>(place)) = call;
    line.kernel.at(static_cast<std::size_t>(place)) = json.value("gpu_us", -1.0);
  }
}

}  // namespace

std::vector<BenchLine> missing_python_lines(const std::string& why) {
  return {{"python", "Batch-invariant (Python)", {}, {}, {}, why},
          {"triton", "Batch-invariant (Triton)", {}, {}, {}, why}};
}

std::vector<BenchLine> measure_python_lines(const Spec& spec, const std::vector<std::int64_t>& tokens,
                                            bool gpu) {
  if (!script_knows(spec))
    return missing_python_lines("exists for rms_norm and add_rms_norm with a weight and one dtype only");
  const auto python = find_program("python3");
  if (!python) return missing_python_lines("there is no python3 on PATH");
  const TemporaryFile script{std::string(embedded_scripts().front().second)};
  const ProgramResult run =
      run_program({*python, script.path(), "--op", spec.op, "--n", std::to_string(spec.n), "--dtype",
                   std::string(name_of(spec.inputs[0].dtype)), "--tokens",
                   fmt::format("{}", fmt::join(tokens, ",")), "--device", gpu ? "cuda" : "cpu"});
  std::vector<BenchLine> lines =
      missing_python_lines(run.status == 0 ? "the script said nothing of it"
                                           : fmt::format("the script failed: {}", last_line(run.errors)));
  for (std::size_t start = 0; start < run.output.size();) {
    const std::size_t end = std::min(run.output.find('\n', start), run.output.size());
    const Json json = Json::parse(run.output.substr(start, end - start), nullptr, false);
    if (json.is_object() && json.contains("key")) take_line(json, tokens, lines);
    start = end + 1;
  }
  // On the CPU there is one time: that of the call.
  if (!gpu)
    for (BenchLine& line : lines) line.kernel = std::exchange(line.call, {});
  return lines;
}

}  // namespace tools
}  // namespace isofold
