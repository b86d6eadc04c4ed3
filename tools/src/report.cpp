#include "report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "chart_document.hpp"
#include "chart_panel.hpp"
#include "console.hpp"
#include "page.hpp"
#include "series_chart.hpp"

namespace isofold::tools {
namespace {

constexpr std::size_t most_rows = 24;  // of a schedule map, besides those that are chosen

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find(' ', start), text.size());
    if (end > start) words.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return words;
}

/// Words that every schedule has, and of each schedule the others; of a schedule that is alone "the one".
std::pair<std::string, std::vector<std::string>> shortened(const ScheduleMap& map) {
  std::map<std::string, std::size_t> counts;
  for (const ScheduleMap::Row& row : map.rows)
    for (const std::string& word : words_of(row.schedule)) ++counts[word];
  std::string common;
  std::vector<std::string> own;
  for (const ScheduleMap::Row& row : map.rows) {
    std::vector<std::string> words;
    std::string shared;
    for (const std::string& word : words_of(row.schedule))
      if (counts[word] == map.rows.size())
        shared += (shared.empty() ? "" : " ") + word;
      else
        words.push_back(word);
    common = shared;
    own.push_back(words.empty() ? "the one" : fmt::format("{}", fmt::join(words, " ")));
  }
  return {common, own};
}

const char* shade_of(double relative) {
  return relative <= 1.005 ? "q0" : relative <= 1.03 ? "q1" : relative <= 1.1 ? "q2" : relative <= 1.3 ? "q3" : "q4";
}

std::string map_html(const ScheduleMap& map) {
  if (map.rows.empty()) return {};
  const auto [common, own] = shortened(map);
  std::string html = "<h3>Schedules</h3>\n";
  const bool timed = std::any_of(map.rows.begin(), map.rows.end(), [](const ScheduleMap::Row& row) {
    return std::any_of(row.relative.begin(), row.relative.end(), [](double relative) { return relative > 1; });
  });
  html += timed ? "<p class=\"note\">Time of each schedule at each number of tokens, relative to the fastest; the framed one is "
                  "used, ≈ left the race early and is less certain. Every one of them gives the same bits.</p>\n"
                : fmt::format("<p class=\"note\">What is used {} number of tokens{}. Every schedule gives the same bits.</p>\n",
                              map.ranges ? "from each" : "at each", map.ranges ? " on" : "");
  if (!common.empty()) html += fmt::format("<p class=\"note\">All of them: <code>{}</code></p>\n", escaped(common));
  html += "<div class=\"scroll map\" tabindex=\"0\" role=\"group\" aria-label=\"Schedules by number of tokens\"><table>\n<thead><tr>"
          "<th scope=\"col\" class=\"left\">Schedule</th>";
  for (const std::int64_t tokens : map.tokens) html += fmt::format("<th scope=\"col\">{}{}</th>", map.ranges ? "from " : "", tokens);
  html += "</tr></thead>\n<tbody>\n";
  for (std::size_t r = 0; r < map.rows.size(); ++r) {
    html += fmt::format("<tr><th scope=\"row\" class=\"left\"><code>{}</code></th>", escaped(own[r]));
    for (std::size_t i = 0; i < map.tokens.size(); ++i) {
      const double relative = map.rows[r].relative[i];
      const bool chosen = map.rows[r].chosen[i];
      const std::string words = relative > 0 && timed ? fmt::format("{}{:.2f}", map.rows[r].rough[i] ? "≈" : "", relative)
                                : chosen              ? "●"
                                                      : "";
      html += fmt::format("<td class=\"{}{}\">{}</td>", relative > 0 ? shade_of(relative) : "", chosen ? " chosen" : "", words);
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

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

}  // namespace

ScheduleMap map_of(const TuneResult& result) {
  ScheduleMap map;
  for (const TokenResult& one : result.tokens) map.tokens.push_back(one.tokens);
  std::map<std::string, ScheduleMap::Row> rows;
  std::map<std::string, double> best;
  for (std::size_t i = 0; i < result.tokens.size(); ++i) {
    const TokenResult& one = result.tokens[i];
    const TableRange* range = &result.record.ranges.front();
    for (const TableRange& next : result.record.ranges)
      if (next.first_tokens <= one.tokens) range = &next;
    for (const Timing& timing : one.timings) {
      const std::string schedule = text(timing.schedule);
      ScheduleMap::Row& row = rows[schedule];
      row.schedule = schedule;
      row.relative.resize(map.tokens.size(), 0.0);
      row.chosen.resize(map.tokens.size(), false);
      row.rough.resize(map.tokens.size(), false);
      row.relative[i] = timing.microseconds / one.timings.front().microseconds;
      row.rough[i] = timing.stage != one.timings.front().stage;
      row.chosen[i] = timing.schedule == range->schedule;
      double& least = best.try_emplace(schedule, 1e300).first->second;
      least = std::min(least, row.chosen[i] ? 0.0 : row.relative[i]);
    }
  }
  for (auto& [schedule, row] : rows) map.rows.push_back(std::move(row));
  std::stable_sort(map.rows.begin(), map.rows.end(), [&](const ScheduleMap::Row& a, const ScheduleMap::Row& b) {
    return best[a.schedule] < best[b.schedule];
  });
  std::size_t keep = 0;
  while (keep < map.rows.size() && (best[map.rows[keep].schedule] == 0 || keep < most_rows)) ++keep;
  map.rows.resize(keep);
  const auto first_chosen = [](const ScheduleMap::Row& row) {
    return std::find(row.chosen.begin(), row.chosen.end(), true) - row.chosen.begin();
  };
  std::stable_sort(map.rows.begin(), map.rows.end(),
                   [&](const ScheduleMap::Row& a, const ScheduleMap::Row& b) { return first_chosen(a) < first_chosen(b); });
  return map;
}

ScheduleMap map_of(const std::vector<std::int64_t>& tokens, const std::vector<std::string>& schedules) {
  ScheduleMap map;
  map.tokens = tokens;
  for (std::size_t i = 0; i < std::min(tokens.size(), schedules.size()); ++i) {
    auto row = std::find_if(map.rows.begin(), map.rows.end(), [&](const auto& known) { return known.schedule == schedules[i]; });
    if (row == map.rows.end())
      row = map.rows.insert(row, {schedules[i], std::vector<double>(tokens.size(), 0.0), std::vector<bool>(tokens.size(), false), std::vector<bool>(tokens.size(), false)});
    row->relative[i] = 1;
    row->chosen[i] = true;
  }
  return map;
}

std::string operator_report(const BenchResult& result, const ScheduleMap& map) {
  std::string html = fmt::format("<section>\n<h2>{}</h2>\n", escaped(result.title));
  if (std::any_of(result.lines.begin(), result.lines.end(), was_measured))
    html += chart_parts(result, false) + price_html(result) + bandwidth_html(result);
  html += map_html(map);
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
    cells.push_back({escaped(row.name), escaped(row.launches), escaped(row.elements),
                     fmt::format("<span class=\"{}\">{}</span>", row.passed ? "good" : "bad", escaped(row.verdict))});
  return html_table("Compared with the oracle, every bit", {"<what", "launches", "elements", "<verdict"}, cells);
}

std::string report_page(const std::string& title, const std::string& sentence, const std::string& sections) {
  return html_page(title, fmt::format("<h1>{}</h1>\n<p>{}</p>\n{}", escaped(title), escaped(sentence), sections));
}

}  // namespace isofold::tools
