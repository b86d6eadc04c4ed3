#pragma once
#include <string>
#include <vector>

#include "bench_result.hpp"
#include "schedule_map.hpp"
#include "tuned_times.hpp"

namespace isofold::tools {

/// The sections of one operator, under a heading: `first` (markup), times, price of invariance, bandwidth, schedules, what it was
/// measured with. A result without times has none of the charts.
std::string operator_report(const BenchResult& result, const ScheduleMap& map, const std::string& first = {});

/// What `verify` found, one row for each part: name, launches, elements, verdict; the last says whether it passed.
struct VerifyRow {
  std::string name, launches, elements, verdict;
  bool passed = false;
};
std::string verify_report(const std::vector<VerifyRow>& rows);

/// Which schedules did not run, and why; nothing where all did.
std::string refusals_html(const std::vector<VerifyPart>& parts);

/// What the times beside them are of.
std::string recorded_html(const RecordedTimes& times);

/// What `verify` found of stored hashes, one row for each record.
struct HashRow {
  std::string name, bits_id, rows, device, verdict;
  bool passed = false;
};
/// A section of its own; nothing without rows.
std::string hashes_report(const std::vector<HashRow>& rows);

/// The page around the sections.
std::string report_page(const std::string& title, const std::string& sentence, const std::string& sections);

}  // namespace isofold::tools
