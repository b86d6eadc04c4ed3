#include <isofold/error.hpp>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "chart_document.hpp"
#include "commands.hpp"
#include "files.hpp"
#include "measure.hpp"

namespace isofold::tools {
namespace {

namespace fs = std::filesystem;

BenchResult stored_result(const std::string& path) {
  const Json json = Json::parse(read_file(path, "bench result"), nullptr, false);
  if (json.is_discarded()) throw UsageError(fmt::format("{} is not JSON", path));
  try {
    return parse_bench_result(json);
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("{}: {}", path, error.what()));
  }
}

bool anything_measured(const BenchResult& result) {
  for (const BenchLine& line : result.lines)
    for (const auto& times : {line.kernel, line.call})
      for (const double time : times)
        if (time > 0) return true;
  return false;
}

/// PREFIX for PREFIX.svg, PREFIX.html and PREFIX.json; a name with one of these endings stands for the
/// prefix.
std::string prefix_of(std::string output) {
  for (const std::string_view ending : {".svg", ".html", ".json"})
    if (output.ends_with(ending)) output.resize(output.size() - ending.size());
  if (const fs::path folder = fs::path(output).parent_path(); !folder.empty()) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error)
      throw UsageError(fmt::format("cannot make the folder {}: {}", folder.string(), error.message()));
  }
  return output;
}

}  // namespace

int run_chart(const Console& console, const ChartArguments& options) {
  const std::string prefix = prefix_of(options.output);
  const BenchResult result =
      options.from.empty() ? measure(console, options.measure) : stored_result(options.from);
  if (!anything_measured(result)) throw UsageError("nothing was measured, there is nothing to draw");
  const bool log_tokens = options.axis == "log";
  write_file_atomically(prefix + ".svg", chart_svg(result, log_tokens), "chart");
  write_file_atomically(prefix + ".html", chart_html(result, log_tokens), "chart");
  if (options.from.empty())
    write_file_atomically(prefix + ".json", to_json(result).dump(2) + "\n", "bench result");
  console.line("{}  {} on {} ({})", console.bold(result.title), result.fold, result.device,
               result.device_name);
  for (const BenchLine& line : result.lines)
    console.line(
        "  {} {}", line.missing.empty() ? console.good("✓") : " ",
        line.missing.empty() ? line.name : fmt::format("{}: did not run: {}", line.name, line.missing));
  console.line("{}.svg", prefix);
  console.line("{}.html", prefix);
  console.document({{"svg", prefix + ".svg"}, {"html", prefix + ".html"}, {"result", to_json(result)}});
  return interrupted() ? exit_interrupted : exit_ok;
}

}  // namespace isofold::tools
