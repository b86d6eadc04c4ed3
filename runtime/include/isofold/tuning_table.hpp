#pragma once
#include <isofold/codegen/device_traits.hpp>
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/schedule.hpp>
#include <isofold/codegen/spec.hpp>
#include <isofold/export.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ISOFOLD_API isofold {

/// A schedule that was measured beside the one chosen.
struct MeasuredSchedule {
  Schedule schedule;
  double microseconds = 0;
  bool operator==(const MeasuredSchedule&) const = default;
};

/// Runners-up that a range keeps.
inline constexpr std::size_t most_runners_up = 3;

/// From `first_tokens` up to the next range's first: this schedule.
struct TableRange {
  std::int64_t first_tokens = 1;
  Schedule schedule;                      // needs no workspace
  double microseconds = 0;                // measured at measured_tokens
  std::int64_t measured_tokens = 1;       // the smallest count that chose the schedule
  std::int64_t last_measured_tokens = 0;  // the largest; 0: not known
  std::vector<MeasuredSchedule> runners_up = {};  // at measured_tokens, the fastest first; for people
  std::optional<MeasuredSchedule> with_workspace = {};  // a faster one, for launches that are handed a workspace
  double any_fold_microseconds = 0;  // of the fastest of any fold at measured_tokens; 0: not measured; for people
  bool operator==(const TableRange&) const = default;
  /// Do launches in both run the same schedules?
  bool same_launches(const TableRange& other) const;
};

/// The tuned schedules of one (Spec, Fold, device): one line of a table file.
struct TableRecord {
  std::string spec;                // Spec text
  std::string fold;                // Fold text
  std::string device;              // DeviceTraits text
  std::string environment;         // driver, NVRTC and library versions, date: for people
  std::vector<TableRange> ranges;  // ascending, the first begins at 1
  std::string origin;              // "<file>:<line>" after reading, not written
};

/// First token count of the range measured at `larger` when the range before it was measured at `smaller`:
/// the geometric middle, rounded up. Costs grow in proportion to the count, so both neighbours are equally
/// far from it.
std::int64_t boundary_between(std::int64_t smaller, std::int64_t larger);

/// Are records of one device used on the other? Yes when the kind, name, and what the best schedule depends
/// on most are equal: architecture and multiprocessors of a GPU, register width and threads of a CPU.
bool same_device(const DeviceTraits& a, const DeviceTraits& b);

/// JSON lines: one record per line, keys in a fixed order; later records of the same (spec, fold, device)
/// win. A record can only choose among schedules that `make_plan` accepts: others are dropped with a warning,
/// so a wrong table costs speed, never bits. Not thread-safe while it is changed.
class TuningTable {
 public:
  /// Reads a file, or every *.jsonl of a folder in name order. A line that is not a record is skipped with a
  /// warning that names file and line; an unreadable file throws UsageError.
  void read(const std::string& path);
  /// The same for text that is in memory; `name` stands for the file.
  void read_text(const std::string& name, std::string_view text);
  /// What was skipped so far, and why.
  const std::vector<std::string>& warnings() const { return warnings_; }

  /// Throws UsageError when the Spec's or the device's text does not parse.
  void add(TableRecord record);
  /// The last record for the Spec, the Fold and a device that is the `same_device`; else the last one for a
  /// Spec that differs in constants alone, such as eps, which changes bits but no time; null when there is
  /// none.
  const TableRecord* find(const Spec& spec, const Fold& fold, const DeviceTraits& device) const;
  const std::vector<TableRecord>& records() const { return records_; }
  /// Writes atomically; records sorted, one per (spec, fold, device). Throws UsageError when that cannot be
  /// done; then the file is as it was.
  void write(const std::string& path) const;

 private:
  struct Index {  // of the record in the same place
    std::string shape;
    DeviceTraits device;
  };
  std::vector<TableRecord> records_;
  std::vector<Index> indices_;
  std::vector<std::string> warnings_;
};

/// `measured`, and what `earlier`, a record of the same (spec, fold, device), knows of token counts below the
/// first and above the last that `measured` has; they meet in the geometric middle. Nothing when `earlier`
/// knows of no such count. Of a range that reaches into the measured span no more is kept than the counts
/// known: its first, its last.
std::optional<TableRecord> merge(const TableRecord& earlier, const TableRecord& measured);

/// Adds one record to a table file, which is made when it is missing, and keeps its other records. With an
/// earlier record of the same (spec, fold, device) it is merged (`merge`); returned is that record when
/// something of it was kept. Processes that do so at the same time wait for each other (`<path>.lock`).
/// Throws UsageError when the file cannot be read or written, or holds lines that are not records: those are
/// never thrown away.
std::optional<TableRecord> add_to_table_file(const std::string& path, const TableRecord& record);

std::string to_json_line(const TableRecord& record);
/// Throws UsageError that says what is wrong: not JSON, a key that is missing or unknown, a text that does
/// not parse, ranges that do not ascend from 1, a schedule that breaks a rule on the record's device, or that needs
/// a workspace where it must not or the other way round.
TableRecord parse_table_record(std::string_view line);

}  // namespace isofold
