#include "report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "chart_document.hpp"
#include "chart_panel.hpp"
#include "page.hpp"
#include "series_chart.hpp"

namespace isofold::tools {
namespace {

std::string price_html(const BenchResult& result) {
  const BenchLine* own = find_line(result, "isofold");
  const BenchLine* any = find_line(result, "any_fold");
  if (own == nullptr || any == nullptr) return {};
  Series price{"isofold", "Price", {}}, one{"copy", "No price", {}};
  double product = 0;
  int count = 0;
  for (std::size_t i = 0; i < result.tokens.size(); ++i) {
    const bool both = i < own->kernel.size() && i < any->kernel.size() && own->kernel[i] > 0 && any->kernel[i] > 0;
    price.values.push_back(both ? own->kernel[i] / any->kernel[i] : -1);
    one.values.push_back(1);
    if (both) product += std::log(price.values.back()), ++count;
  }
  if (count == 0) return {};
  return fmt::format("<h3>The price of invariance</h3>\n<p>Time with the operator&#39;s fold / time of the fastest of any fold: {:.3f} in the "
                     "geometric mean. 1 means that a fixed reduction tree costs nothing; differences of a percent or two are noise.</p>\n",
                     std::exp(product / count)) +
         series_html({"The price of invariance", "", result.tokens, {price, one}, 0.9, 3});
}

std::string bandwidth_html(const BenchResult& result) {
  Series own{"isofold", "Isofold", {}}, copy{"copy", "A copy of as many bytes", {}};
  bool any = false;
  for (Series* series : {&own, &copy}) {
    const BenchLine* line = find_line(result, series->key);
    if (line == nullptr) continue;
    for (std::size_t i = 0; i < result.tokens.size(); ++i) {
      const bool known = i < line->kernel.size() && line->kernel[i] > 0;
      const double bytes = static_cast<double>(result.bytes_per_token) * static_cast<double>(result.tokens[i]);
      series->values.push_back(known ? bytes / line->kernel[i] * 1e-3 : -1);
      any |= known;
    }
  }
  if (!any || copy.values.empty()) return {};
  return "<h3>Bandwidth</h3>\n<p>Bytes that have to be moved, over the time; the dotted line is a copy that moves as many.</p>\n" +
         series_html({"Bandwidth", "GB/s", result.tokens, {own, copy}, 0, 0});
}

std::string verdict_html(bool passed, const std::string& words) {
  return fmt::format("<span class=\"{}\">{}</span>", passed ? "good" : "bad", escaped(words));
}

}  // namespace

std::string operator_report(const BenchResult& result, const ScheduleMap& map, const std::string& first) {
  std::string html = fmt::format("<section>\n<h2>{}</h2>\n{}", escaped(result.title), first);
  if (std::any_of(result.lines.begin(), result.lines.end(), was_measured))
    html += chart_parts(result, false) + price_html(result) + bandwidth_html(result);
  html += schedule_map_html(map);
  html += "<h3>Environment</h3>\n" + html_facts({{"device", fmt::format("{} ({})", result.device, result.device_name)},
                                                 {"made with", result.environment},
                                                 {"date", result.date},
                                                 {"spec", result.spec},
                                                 {"fold", result.fold},
                                                 {"bits id", result.bits_id}});
  return html + "</section>\n";
}

std::string verify_report(const std::vector<VerifyRow>& rows) {
  std::vector<std::vector<std::string>> cells;
  for (const VerifyRow& row : rows)
    cells.push_back({escaped(row.name), escaped(row.launches), escaped(row.elements), verdict_html(row.passed, row.verdict)});
  return html_table("Compared with the oracle, every bit", {"<what", "launches", "elements", "<verdict"}, cells);
}

std::string refusals_html(const std::vector<VerifyPart>& parts) {
  std::string listing;
  for (const VerifyPart& part : parts)
    for (const RefusedSchedule& one : part.refused) listing += fmt::format("{}\n{}\n{}\n\n", part.name, one.schedule, one.why);
  return listing.empty() ? "" : html_listing("What did not run, and why", listing);
}

std::string recorded_html(const RecordedTimes& times) {
  return fmt::format("<h3>Times of the tuning table</h3>\n<p class=\"note\"><code>{}</code>, measured with {}. The copy beside them "
                     "was measured now; verify times nothing else.</p>\n",
                     escaped(times.origin), escaped(times.environment));
}

std::string hashes_report(const std::vector<HashRow>& rows) {
  if (rows.empty()) return {};
  std::vector<std::vector<std::string>> cells;
  for (const HashRow& row : rows)
    cells.push_back({escaped(row.name), escaped(row.bits_id), escaped(row.rows), escaped(row.device),
                     verdict_html(row.passed, row.verdict)});
  return "<section>\n<h2>Stored hashes</h2>\n" +
         html_table("Compared with hashes of the same rows", {"<what", "<bits id", "rows", "<device", "<verdict"}, cells) + "</section>\n";
}

std::string report_page(const std::string& title, const std::string& sentence, const std::string& sections) {
  return html_page(title, fmt::format("<h1>{}</h1>\n<p>{}</p>\n{}", escaped(title), escaped(sentence), sections));
}

}  // namespace isofold::tools
