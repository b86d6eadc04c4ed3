#pragma once
#include <isofold/tuner.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bench_result.hpp"

namespace isofold::tools {

/// Which schedule runs at which token count, and what others would take.
struct ScheduleMap {
  struct Row {
    std::string schedule;
    std::vector<double> relative;  // time / that of the fastest; 0: not measured
    std::vector<bool> chosen;
    std::vector<bool> rough;  // it left the race early: its time is less certain
  };
  bool ranges = false;  // each token count stands for those from it on
  std::vector<std::int64_t> tokens;
  std::vector<Row> rows;
};

/// Of a tuner's result: the schedules that were near the best somewhere.
ScheduleMap map_of(const TuneResult& result);
/// Of one choice for each token count. No times.
ScheduleMap map_of(const std::vector<std::int64_t>& tokens, const std::vector<std::string>& schedules);

/// The sections of one operator, under a heading: times, price of invariance, bandwidth, schedules, what it was measured with.
/// Without times, as `verify` has none: schedules and the rest.
std::string operator_report(const BenchResult& result, const ScheduleMap& map);

/// What `verify` found, one row for each part: name, launches, elements, verdict; the last says whether it passed.
struct VerifyRow {
  std::string name, launches, elements, verdict;
  bool passed = false;
};
std::string verify_report(const std::vector<VerifyRow>& rows);

/// The page around the sections.
std::string report_page(const std::string& title, const std::string& sentence, const std::string& sections);

}  // namespace isofold::tools
