#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace isofold {

/// What an application launched of one (Spec, Fold) on one device: one line of a record file.
struct LaunchRecord {
  std::string spec, fold, device;                  // texts
  std::map<std::int64_t, std::uint64_t> launches;  // token count -> how often
  std::uint64_t others = 0;                        // launches over token counts that found no room among the counts
  bool operator==(const LaunchRecord&) const = default;
};

/// JSON lines: {"spec", "fold", "device", "launches": {"1": 4000, "128": 12}, "others"}. Throws UsageError that names file and
/// line for anything that is no record, and when the file cannot be read.
std::vector<LaunchRecord> read_launch_records(const std::string& path);

/// Adds the launches to those that the file has, which is made when it is missing. Processes that do so at the same time wait
/// for each other (`<path>.lock`). Throws UsageError when the file cannot be read or written.
void add_launch_records(const std::string& path, const std::vector<LaunchRecord>& records);

}  // namespace isofold
