#pragma once
#include <isofold/codegen/device_traits.hpp>
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/schedule.hpp>
#include <isofold/codegen/spec.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace isofold {

/// From `first_tokens` up to the next range's first: this schedule.
struct TableRange {
  std::int64_t first_tokens = 1;
  Schedule schedule;
  double microseconds = 0;        // measured at measured_tokens
  std::int64_t measured_tokens = 1;
  bool operator==(const TableRange&) const = default;
};

/// The tuned schedules of one (Spec, Fold, device): one line of a table file.
struct TableRecord {
  std::string spec;         // Spec text
  std::string fold;         // Fold text
  std::string device;       // DeviceTraits text
  std::string environment;  // driver, NVRTC and library versions, date: for people
  std::vector<TableRange> ranges;  // ascending, the first begins at 1
  std::string origin;       // "<file>:<line>" after reading, not written
};

/// JSON lines: one record per line, keys in a fixed order; later records of the same (spec, fold, device) win.
/// A record can only choose among schedules that `make_plan` accepts: others are dropped with a warning, so a wrong
/// table costs speed, never bits.
class TuningTable {
 public:
  /// Reads a file, or every *.jsonl of a folder in name order. A line that is not a record is skipped with a warning
  /// that names file and line; an unreadable file throws UsageError.
  void read(const std::string& path);
  void add(TableRecord record);
  const TableRecord* find(const Spec& spec, const Fold& fold, const DeviceTraits& device) const;
  const std::vector<TableRecord>& records() const { return records_; }
  /// Writes atomically; records sorted, one per (spec, fold, device).
  void write(const std::string& path) const;

 private:
  std::vector<TableRecord> records_;
};

std::string to_json_line(const TableRecord& record);
/// Throws UsageError that says what is wrong.
TableRecord parse_table_record(std::string_view line);

}  // namespace isofold
