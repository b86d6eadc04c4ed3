#pragma once
#include <isofold/runtime.hpp>
#include <isofold/tuner.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "verification.hpp"

namespace isofold::tools {

/// Schedules against token counts, a coloured cell for each pair of which something is known.
struct ScheduleMap {
  struct Cell {
    std::string colour;  // a class of the page: "q0" to "q4" by time, "same", "differs", "refused"; empty: nothing is known
    std::string words;
    bool chosen = false;  // framed
  };
  struct Row {
    std::string schedule;
    std::vector<Cell> cells;  // one for each column
  };
  std::string title, note;
  std::vector<std::string> columns;  // "16", "from 17", "17 to 32"
  std::vector<Row> rows;
  std::vector<Row> summaries;  // behind the rows: "27 others" in the place of a schedule
};

/// Of a tuner's result: the time of the schedules that were near the best somewhere.
ScheduleMap map_of(const TuneResult& result);
/// Of one schedule for each of these token counts, as `bench` measured.
ScheduleMap map_of(const std::vector<std::int64_t>& tokens, const std::vector<std::string>& schedules);
/// What the operator launches, for all token counts.
ScheduleMap map_of(const Operator& op);
/// What was compared with the oracle, and the outcome.
ScheduleMap map_of(const std::vector<VerifyPart>& parts);

/// Under its title, in a box that scrolls. Nothing for a map without rows.
std::string schedule_map_html(const ScheduleMap& map);

}  // namespace isofold::tools
