#include <algorithm>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "files.hpp"
#include "measure.hpp"
#include "output_file.hpp"
#include "report.hpp"

namespace isofold::tools {
namespace {

std::string cell(const std::vector<double>& times, std::size_t i) {
  return i < times.size() && times[i] >= 0 ? short_number(times[i]) : "-";
}

std::string bandwidth(const BenchResult& result, std::size_t i, const BenchLine& line) {
  if (i >= line.kernel.size() || line.kernel[i] <= 0) return "-";
  const double bytes = static_cast<double>(result.bytes_per_token) * static_cast<double>(result.tokens[i]);
  return fmt::format("{:.0f}", bytes / line.kernel[i] * 1e-3);
}

/// Time of `part` as a share of `whole`'s, in percent.
std::string share(const BenchLine& part, const BenchLine& whole, std::size_t i) {
  if (i >= part.kernel.size() || i >= whole.kernel.size() || part.kernel[i] < 0 || whole.kernel[i] <= 0)
    return "-";
  return fmt::format("{:.0f}", 100 * part.kernel[i] / whole.kernel[i]);
}

void print_times(const Console& console, const BenchResult& result, std::vector<double> BenchLine::*times) {
  std::vector<std::string> header = {">tokens"};
  for (const BenchLine& line : result.lines)
    if (!(line.*times).empty()) header.push_back(">" + line.name);
  const bool kernel = times == &BenchLine::kernel;
  if (kernel) header.insert(header.end(), {">GB/s", ">% of copy"});
  Table table(header);
  const BenchLine& own = *find_line(result, "isofold");
  const BenchLine& copy = *find_line(result, "copy");
  for (std::size_t i = 0; i < result.tokens.size(); ++i) {
    std::vector<std::string> cells = {std::to_string(result.tokens[i])};
    for (const BenchLine& line : result.lines)
      if (!(line.*times).empty()) cells.push_back(cell(line.*times, i));
    if (kernel) cells.insert(cells.end(), {bandwidth(result, i, own), share(copy, own, i)});
    table.row(std::move(cells));
  }
  table.print(console);
}

void print_host(const Console& console, const HostCosts& host) {
  const auto line = [&](const char* what, double microseconds) {
    if (microseconds >= 0) console.line("  {:<44} {:>9} us", what, short_number(microseconds));
  };
  console.line("{}", console.bold("On the host"));
  line("a launch of a prepared operator, back to back", host.launch);
  line("an empty kernel through the driver", host.empty_launch);
  line("first use, nothing cached", host.first_use_cold);
  line("first use, warm disk cache", host.first_use_disk);
  line("prepare() of what is in memory", host.first_use_memory);
}

}  // namespace

int run_bench(const Console& console, const MeasureOptions& options) {
  if (!options.report.empty()) check_output_file(console, options.report);
  const BenchResult result = measure(console, options);
  console.line("{}  {} on {} ({}), {}", console.bold(result.title), result.fold, result.device,
               result.device_name, result.environment);
  console.line();
  console.line(
      "{}", console.bold(result.gpu ? "GPU time of a launch, microseconds" : "Time of a call, microseconds"));
  print_times(console, result, &BenchLine::kernel);
  if (result.gpu) {
    console.line();
    console.line("{}", console.bold("A whole call until its result is there, microseconds"));
    print_times(console, result, &BenchLine::call);
  }
  for (const BenchLine& line : result.lines)
    if (!line.missing.empty()) console.line("{}: {}", line.name, line.missing);
  if (result.host.launch >= 0) {
    console.line();
    print_host(console, result.host);
  }
  if (interrupted()) {
    const std::vector<double>& times = find_line(result, "isofold")->kernel;
    console.line("{} {} of {} were measured", console.bad("interrupted:"),
                 std::count_if(times.begin(), times.end(), [](double time) { return time >= 0; }),
                 counted(static_cast<std::int64_t>(times.size()), "token count"));
  }
  if (!options.report.empty()) {
    std::vector<std::string> schedules;
    for (const std::string& detail : find_line(result, "isofold")->detail) schedules.push_back(detail.substr(0, detail.find(" (")));
    write_file_atomically(options.report,
                          report_page(fmt::format("{} on {}", result.title, result.device_name),
                                      "Measured by isofold bench: every line in one process, kernels of one token count in turns.",
                                      operator_report(result, map_of(result.tokens, schedules))),
                          "report");
    console.line("{}", options.report);
  }
  console.document(to_json(result));
  return interrupted() ? exit_interrupted : exit_ok;
}

}  // namespace isofold::tools
