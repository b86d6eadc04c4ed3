#include "schedule_map.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <map>
#include <set>

#include "chart_panel.hpp"
#include "console.hpp"
#include "table_range.hpp"

namespace isofold::tools {
namespace {

constexpr std::size_t most_other_rows = 24;         // besides those that are chosen
constexpr std::size_t most_single_counts = 16;  // more token counts stand together: those up to a power of two

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

/// The row of `schedule`, which is made when it is not there.
ScheduleMap::Row& row_of(ScheduleMap& map, const std::string& schedule) {
  auto row = std::find_if(map.rows.begin(), map.rows.end(), [&](const auto& known) { return known.schedule == schedule; });
  if (row == map.rows.end())
    row = map.rows.insert(row, {schedule, std::vector<ScheduleMap::Cell>(map.columns.size())});
  return *row;
}

void mark_chosen(ScheduleMap& map, const std::vector<std::string>& schedules) {
  for (std::size_t i = 0; i < schedules.size(); ++i) row_of(map, schedules[i]).cells[i] = {"q0", "●", true};
}

/// Rows in the order of the first column in which they are chosen; the others behind them, as they were.
void sort_by_choice(std::vector<ScheduleMap::Row>& rows) {
  const auto first_chosen = [](const ScheduleMap::Row& row) {
    return std::find_if(row.cells.begin(), row.cells.end(), [](const auto& cell) { return cell.chosen; }) - row.cells.begin();
  };
  std::stable_sort(rows.begin(), rows.end(), [&](const auto& a, const auto& b) { return first_chosen(a) < first_chosen(b); });
}

std::string row_html(const ScheduleMap::Row& row, const std::string& name) {
  std::string html = fmt::format("<tr><th scope=\"row\" class=\"left\">{}</th>", name);
  for (const ScheduleMap::Cell& cell : row.cells)
    html += fmt::format("<td class=\"{}{}\">{}</td>", cell.colour, cell.chosen ? " chosen" : "", escaped(cell.words));
  return html + "</tr>\n";
}

/// "937", "1.23 k", "45.6 M": three digits that mean something.
std::string short_count(std::uint64_t count) {
  constexpr std::string_view units[] = {"", " k", " M", " G", " T"};
  if (count < 1000) return std::to_string(count);
  auto value = static_cast<double>(count);
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < std::size(units)) value /= 1000, ++unit;
  return fmt::format("{:.{}f}{}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0, units[unit]);
}

/// What is known of one schedule over the token counts of one column.
struct Outcome {
  VerifyCounts counts;
  bool refused = false;
};

ScheduleMap::Cell cell_of(const Outcome& outcome) {
  const VerifyCounts& counts = outcome.counts;
  if (counts.differing > 0)
    return {"differs", fmt::format("✗ {} of {}", short_count(counts.differing), short_count(counts.elements))};
  if (counts.overwritten > 0) return {"differs", fmt::format("✗ {} B outside", short_count(counts.overwritten))};
  if (outcome.refused) return {"refused", counts.launches > 0 ? short_count(counts.elements) + ", not all ran" : "did not run"};
  return counts.launches > 0 ? ScheduleMap::Cell{"same", short_count(counts.elements)} : ScheduleMap::Cell{};
}

/// Token counts that share a column, ascending; each begins with its first count.
std::vector<std::int64_t> columns_for(const std::set<std::int64_t>& counts) {
  if (counts.size() <= most_single_counts) return {counts.begin(), counts.end()};
  std::vector<std::int64_t> firsts;
  for (const std::int64_t count : counts)
    if (firsts.empty() || std::bit_ceil(static_cast<std::uint64_t>(count)) != std::bit_ceil(static_cast<std::uint64_t>(firsts.back())))
      firsts.push_back(count);
  return firsts;
}

}  // namespace

ScheduleMap map_of(const TuneResult& result) {
  ScheduleMap map;
  map.title = "Schedules";
  for (const TokenResult& one : result.tokens) map.columns.push_back(std::to_string(one.tokens));
  std::map<std::string, double> best;
  bool timed = false;
  for (std::size_t i = 0; i < result.tokens.size(); ++i) {
    const TokenResult& one = result.tokens[i];
    const TableRange& range = range_of(result.record, one.tokens);
    for (const Timing& timing : one.timings) {
      const std::string schedule = text(timing.schedule);
      const double relative = timing.microseconds / one.timings.front().microseconds;
      const bool chosen = timing.schedule == range.schedule, rough = timing.stage != one.timings.front().stage;
      timed |= relative > 1;
      row_of(map, schedule).cells[i] = {shade_of(relative), fmt::format("{}{:.2f}", rough ? "≈" : "", relative), chosen};
      double& least = best.try_emplace(schedule, 1e300).first->second;
      least = std::min(least, chosen ? 0.0 : relative);
    }
  }
  if (!timed)
    for (ScheduleMap::Row& row : map.rows)
      for (ScheduleMap::Cell& cell : row.cells) cell.words = cell.chosen ? "●" : "";
  map.note = timed ? "Time of each schedule at each number of tokens, relative to the fastest; the framed one is used, ≈ left the race "
                     "early and is less certain. Every one of them gives the same bits."
                   : "What is used at each number of tokens. Every schedule gives the same bits.";
  std::stable_sort(map.rows.begin(), map.rows.end(), [&](const auto& a, const auto& b) {
    return std::pair(best[a.schedule], a.schedule) < std::pair(best[b.schedule], b.schedule);
  });
  std::size_t keep = 0;
  while (keep < map.rows.size() && (best[map.rows[keep].schedule] == 0 || keep < most_other_rows)) ++keep;
  map.rows.resize(keep);
  sort_by_choice(map.rows);
  return map;
}

ScheduleMap map_of(const std::vector<std::int64_t>& tokens, const std::vector<std::string>& schedules) {
  ScheduleMap map{"Schedules", "What is used at each number of tokens. Every schedule gives the same bits.", {}, {}, {}};
  for (const std::int64_t count : tokens) map.columns.push_back(std::to_string(count));
  mark_chosen(map, schedules);
  return map;
}

ScheduleMap map_of(const Operator& op) {
  ScheduleMap map{"Schedules", "What is used from each number of tokens on. Every schedule gives the same bits.", {}, {}, {}};
  std::vector<std::string> schedules;
  for (const std::int64_t count : op.boundaries()) {
    map.columns.push_back(fmt::format("from {}", count));
    schedules.push_back(op.choice(count).schedule);
  }
  mark_chosen(map, schedules);
  return map;
}

ScheduleMap map_of(const std::vector<VerifyPart>& parts) {
  ScheduleMap map{"What was compared",
                  "Elements compared with the oracle's, of each schedule at each number of tokens; green: every bit is the same. Framed is "
                  "what a launch uses.",
                  {},
                  {},
                  {}};
  std::set<std::int64_t> counts;
  for (const VerifyPart& part : parts) {
    for (const auto& [where, found] : part.launched) counts.insert(where.second);
    for (const RefusedSchedule& refused : part.refused) counts.insert(refused.tokens.begin(), refused.tokens.end());
  }
  const std::vector<std::int64_t> firsts = columns_for(counts);
  const auto column_of = [&](std::int64_t count) {
    return static_cast<std::size_t>(std::upper_bound(firsts.begin(), firsts.end(), count) - firsts.begin()) - 1;
  };
  for (std::size_t i = 0; i < firsts.size(); ++i) {
    const std::int64_t last = *std::prev(i + 1 < firsts.size() ? counts.find(firsts[i + 1]) : counts.end());
    map.columns.push_back(last == firsts[i] ? std::to_string(last) : fmt::format("{} to {}", firsts[i], last));
  }

  std::map<std::string, std::vector<Outcome>> outcomes;
  const auto outcome_of = [&](const std::string& schedule, std::int64_t count) -> Outcome& {
    return outcomes.try_emplace(schedule, firsts.size()).first->second[column_of(count)];
  };
  for (const VerifyPart& part : parts) {
    for (const auto& [where, found] : part.launched) outcome_of(where.first, where.second).counts.add(found);
    for (const RefusedSchedule& refused : part.refused)
      for (const std::int64_t count : refused.tokens) outcome_of(refused.schedule, count).refused = true;
  }
  for (const auto& [schedule, found] : outcomes) {
    ScheduleMap::Row& row = row_of(map, schedule);
    for (std::size_t i = 0; i < found.size(); ++i) row.cells[i] = cell_of(found[i]);
  }
  for (const VerifyPart& part : parts)
    for (const auto& [where, found] : part.launched)
      if (part.as_launched) row_of(map, where.first).cells[column_of(where.second)].chosen = true;

  // Those that are used first, then those with a fault; of more others than a person reads, one line.
  sort_by_choice(map.rows);
  const auto matters = [](const ScheduleMap::Row& row) {
    return std::any_of(row.cells.begin(), row.cells.end(), [](const ScheduleMap::Cell& cell) {
      return cell.chosen || cell.colour == "differs" || cell.colour == "refused";
    });
  };
  const auto others = std::stable_partition(map.rows.begin(), map.rows.end(), matters);
  if (static_cast<std::size_t>(map.rows.end() - others) <= most_other_rows) return map;
  std::vector<Outcome> rest(firsts.size());
  const auto left_out = others + most_other_rows;
  for (auto row = left_out; row != map.rows.end(); ++row)
    for (std::size_t i = 0; i < rest.size(); ++i) rest[i].counts.add(outcomes[row->schedule][i].counts);
  ScheduleMap::Row& summary = map.summaries.emplace_back();
  summary.schedule = fmt::format("{} others", map.rows.end() - left_out);
  for (const Outcome& outcome : rest) summary.cells.push_back(cell_of(outcome));
  map.rows.erase(left_out, map.rows.end());
  return map;
}

std::string schedule_map_html(const ScheduleMap& map) {
  if (map.rows.empty()) return {};
  const auto [common, own] = shortened(map);
  std::string html = fmt::format("<h3>{}</h3>\n<p class=\"note\">{}</p>\n", escaped(map.title), escaped(map.note));
  if (!common.empty()) html += fmt::format("<p class=\"note\">All of them: <code>{}</code></p>\n", escaped(common));
  html += fmt::format("<div class=\"scroll map\" tabindex=\"0\" role=\"group\" aria-label=\"{}: schedules by number of tokens\"><table>\n"
                      "<thead><tr><th scope=\"col\" class=\"left\">Schedule</th>", escaped(map.title));
  for (const std::string& column : map.columns) html += fmt::format("<th scope=\"col\">{}</th>", column);
  html += "</tr></thead>\n<tbody>\n";
  for (std::size_t r = 0; r < map.rows.size(); ++r) html += row_html(map.rows[r], fmt::format("<code>{}</code>", escaped(own[r])));
  for (const ScheduleMap::Row& row : map.summaries) html += row_html(row, escaped(row.schedule));
  return html + "</tbody></table></div>\n";
}

}  // namespace isofold::tools
