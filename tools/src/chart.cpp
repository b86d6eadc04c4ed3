#include <isofold/error.hpp>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "chart_document.hpp"
#include "commands.hpp"
#include "files.hpp"
#include "measure.hpp"
#include "output_file.hpp"

namespace isofold::tools {
namespace {

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
  return std::any_of(result.lines.begin(), result.lines.end(), was_measured);
}

/// PREFIX for PREFIX.svg, PREFIX.html and PREFIX.json; a name with one of these endings stands for the
/// prefix.
std::string prefix_of(const Console& console, std::string output) {
  for (const std::string_view ending : {".svg", ".html", ".json"})
    if (output.ends_with(ending)) output.resize(output.size() - ending.size());
  if (output.empty() || output.ends_with('/'))
    throw UsageError(
        fmt::format("--output is \"{}\"; needed is the name of the files, without ending", output));
  for (const char* ending : {".svg", ".html", ".json"}) check_output_file(console, output + ending);
  return output;
}

}  // namespace

int run_chart(const Console& console, const ChartArguments& options) {
  const std::string prefix = prefix_of(console, options.output);
  const BenchResult result =
      options.from.empty() ? measure(console, options.measure) : stored_result(options.from);
  if (!anything_measured(result) && interrupted()) {
    console.line("{} nothing was measured, nothing is written", console.bad("interrupted:"));
    console.document({{"interrupted", true}});
    return exit_interrupted;
  }
  if (!anything_measured(result)) throw UsageError("nothing was measured, there is nothing to draw");
  const bool log_tokens = options.axis == "log";
  write_file_atomically(prefix + ".svg", chart_svg(result, log_tokens), "chart");
  write_file_atomically(prefix + ".html", chart_html(result, log_tokens), "chart");
  if (options.from.empty())
    write_file_atomically(prefix + ".json", to_json(result).dump(2) + "\n", "bench result");
  console.line("{}  {} on {} ({})", console.bold(result.title), result.fold, result.device,
               result.device_name);
  for (const BenchLine& line : result.lines)
    console.line("  {} {}", line.missing.empty() ? console.good("✓") : " ",
                 line.missing.empty() ? line.name : absence(line));
  console.line("{}.svg", prefix);
  console.line("{}.html", prefix);
  Json document = {{"svg", prefix + ".svg"}, {"html", prefix + ".html"}};
  if (options.from.empty()) {
    console.line("{}.json", prefix);
    document["json"] = prefix + ".json";
  }
  if (interrupted()) console.line("{} what was not reached is left out", console.bad("interrupted:"));
  document["interrupted"] = interrupted();
  document["result"] = to_json(result);
  console.document(document);
  return interrupted() ? exit_interrupted : exit_ok;
}

}  // namespace isofold::tools
