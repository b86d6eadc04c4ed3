#include <isofold/codegen/plan.hpp>
#include <isofold/error.hpp>
#include <isofold/tuning_table.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <tuple>

#include "files.hpp"

namespace isofold {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::size_t longest_line = std::size_t{1} << 20;
constexpr std::size_t most_ranges = 1024;

[[noreturn]] void refuse(const std::string& what) { throw UsageError("tuning record: " + what); }

/// The keys of `object` are exactly `keys`, those of `optional` may be there.
void check_keys(const Json& object, const char* what, std::initializer_list<std::string_view> keys,
                std::initializer_list<std::string_view> optional = {}) {
  if (!object.is_object()) refuse(fmt::format("{} is not an object", what));
  for (const std::string_view key : keys)
    if (!object.contains(key)) refuse(fmt::format("{} has no key \"{}\"", what, key));
  for (const auto& [key, value] : object.items())
    if (std::find(optional.begin(), optional.end(), key) == optional.end() &&
        std::find(keys.begin(), keys.end(), key) == keys.end())
      refuse(fmt::format("{} has the unknown key \"{}\"", what, key));
}

std::string get_text(const Json& object, const char* key) {
  if (!object.at(key).is_string()) refuse(fmt::format("\"{}\" is not a text", key));
  return object.at(key).get<std::string>();
}

std::int64_t get_count(const Json& object, const char* key) {
  const Json& value = object.at(key);
  if (!value.is_number_integer() || value.get<std::int64_t>() < 1)
    refuse(fmt::format("\"{}\" is not an integer of at least 1", key));
  return value.get<std::int64_t>();
}

double get_time(const Json& object, const char* key) {
  const Json& value = object.at(key);
  if (!value.is_number() || !(value.get<double>() >= 0))
    refuse(fmt::format("\"{}\" is not a number of at least 0", key));
  return value.get<double>();
}

/// Nanoseconds are as fine as a measurement is.
double rounded(double microseconds) { return std::round(microseconds * 1000) / 1000; }

/// The Spec's text with every constant replaced by 1: what its speed depends on.
std::string shape_of(Spec spec) {
  for (Node& node : spec.nodes)
    if (node.op == Op::constant) node.value = 1;
  return text(spec);
}

/// Token counts `low` to `high`, both of which chose the schedule of `range`.
struct Stretch {
  std::int64_t low = 1, high = 1;
  TableRange range;
};

std::vector<Stretch> stretches_of(const std::vector<TableRange>& ranges) {
  std::vector<Stretch> out;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const TableRange& range = ranges[i];
    const TableRange* next = i + 1 < ranges.size() ? &ranges[i + 1] : nullptr;
    const std::int64_t end = next ? next->first_tokens - 1 : std::numeric_limits<std::int64_t>::max();
    std::int64_t high = range.last_measured_tokens;
    if (high == 0) {
      high = range.measured_tokens;
      // The boundary behind it says which count it lies in the middle of.
      if (next && next->measured_tokens >= next->first_tokens) {
        const double middle = static_cast<double>(end);
        high = static_cast<std::int64_t>(middle * middle / static_cast<double>(next->measured_tokens)) + 1;
      }
    }
    high = std::clamp(high, range.first_tokens, end);
    // What merging has cut in two is measured outside its second part.
    const std::int64_t low = range.measured_tokens < range.first_tokens ? high : range.measured_tokens;
    out.push_back({std::min(low, high), high, range});
  }
  return out;
}

Json to_json(const MeasuredSchedule& measured) {
  return {{"schedule", text(measured.schedule)}, {"microseconds", rounded(measured.microseconds)}};
}

auto key_of(const TableRecord& record) { return std::tie(record.spec, record.fold, record.device); }

}  // namespace

bool TableRange::same_launches(const TableRange& other) const {
  if (schedule != other.schedule || with_workspace.has_value() != other.with_workspace.has_value()) return false;
  return !with_workspace || with_workspace->schedule == other.with_workspace->schedule;
}

std::int64_t boundary_between(std::int64_t smaller, std::int64_t larger) {
  const double middle = std::ceil(std::sqrt(static_cast<double>(smaller) * static_cast<double>(larger)));
  return std::clamp(static_cast<std::int64_t>(middle), smaller + 1, larger);
}

bool same_device(const DeviceTraits& a, const DeviceTraits& b) {
  if (a.kind != b.kind || a.name != b.name) return false;
  if (a.kind == DeviceTraits::Kind::cuda) return a.arch == b.arch && a.multiprocessors == b.multiprocessors;
  return a.vector_width == b.vector_width && a.threads == b.threads;
}

std::string to_json_line(const TableRecord& record) {
  Json ranges = Json::array();
  for (const TableRange& range : record.ranges) {
    Json& item = ranges.emplace_back(Json{{"first_tokens", range.first_tokens},
                                          {"schedule", text(range.schedule)},
                                          {"microseconds", rounded(range.microseconds)},
                                          {"measured_tokens", range.measured_tokens}});
    if (range.last_measured_tokens > 0) item["last_measured_tokens"] = range.last_measured_tokens;
    for (const MeasuredSchedule& other : range.runners_up) item["runners_up"].push_back(to_json(other));
    if (range.with_workspace) item["with_workspace"] = to_json(*range.with_workspace);
    if (range.any_fold_microseconds > 0) item["any_fold_microseconds"] = rounded(range.any_fold_microseconds);
  }
  const Json line{{"spec", record.spec},
                  {"fold", record.fold},
                  {"device", record.device},
                  {"environment", record.environment},
                  {"ranges", std::move(ranges)}};
  // Bytes that are no UTF-8 can only be in the remark of what surrounded the measurement or in a device's
  // name.
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

namespace {

MeasuredSchedule measured_schedule_from(const Json& json, const char* what) {
  check_keys(json, what, {"schedule", "microseconds"});
  return {parse_schedule(get_text(json, "schedule")), get_time(json, "microseconds")};
}

std::vector<MeasuredSchedule> runners_up_from(const Json& json) {
  if (!json.is_array() || json.size() > most_runners_up)
    refuse(fmt::format("\"runners_up\" is not a list of at most {}", most_runners_up));
  std::vector<MeasuredSchedule> all;
  for (const Json& item : json) all.push_back(measured_schedule_from(item, "a runner-up"));
  return all;
}

}  // namespace

TableRecord parse_table_record(std::string_view line) {
  if (line.size() > longest_line)
    refuse(fmt::format("{} bytes long, at most {} are read", line.size(), longest_line));
  const Json json = Json::parse(line, nullptr, false);
  if (json.is_discarded()) refuse("not JSON");
  check_keys(json, "the record", {"spec", "fold", "device", "environment", "ranges"});
  const Spec spec = parse_spec(get_text(json, "spec"));
  const Fold fold = parse_fold(get_text(json, "fold"));
  const DeviceTraits device = parse_device_traits(get_text(json, "device"));
  TableRecord record;
  record.spec = text(spec);
  record.fold = text(fold);
  record.device = text(device);
  record.environment = get_text(json, "environment");
  const Json& ranges = json.at("ranges");
  if (!ranges.is_array() || ranges.empty() || ranges.size() > most_ranges)
    refuse(fmt::format("\"ranges\" is not a list of 1 to {} ranges", most_ranges));
  for (const Json& item : ranges) {
    check_keys(item, "a range", {"first_tokens", "schedule", "microseconds", "measured_tokens"},
               {"last_measured_tokens", "runners_up", "with_workspace", "any_fold_microseconds"});
    TableRange range;
    range.first_tokens = get_count(item, "first_tokens");
    range.schedule = parse_schedule(get_text(item, "schedule"));
    range.microseconds = get_time(item, "microseconds");
    range.measured_tokens = get_count(item, "measured_tokens");
    if (item.contains("last_measured_tokens"))
      range.last_measured_tokens = get_count(item, "last_measured_tokens");
    if (item.contains("any_fold_microseconds")) range.any_fold_microseconds = get_time(item, "any_fold_microseconds");
    if (item.contains("runners_up")) range.runners_up = runners_up_from(item.at("runners_up"));
    const std::int64_t least = record.ranges.empty() ? 1 : record.ranges.back().first_tokens + 1;
    if (range.first_tokens < least || (record.ranges.empty() && range.first_tokens != 1))
      refuse("\"first_tokens\" of the ranges must ascend, beginning with 1");
    const auto check_plan = [&](const Schedule& schedule, bool with_workspace) {
      const PlanResult plan = make_plan(spec, fold, schedule, device);
      if (!plan) refuse(fmt::format("\"{}\": {}", text(schedule), plan.broken_rule()));
      if (needs_workspace(plan.value()) != with_workspace)
        refuse(fmt::format("\"{}\" {}", text(schedule), with_workspace ? "needs no workspace, as \"with_workspace\" says it does"
                                                                       : "needs a workspace: its place is \"with_workspace\""));
    };
    check_plan(range.schedule, false);
    if (item.contains("with_workspace")) {
      range.with_workspace = measured_schedule_from(item.at("with_workspace"), "\"with_workspace\"");
      check_plan(range.with_workspace->schedule, true);
    }
    record.ranges.push_back(std::move(range));
  }
  return record;
}

void TuningTable::read_text(const std::string& name, std::string_view text) {
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string origin = fmt::format("{}:{}", name, number);
    try {
      TableRecord record = parse_table_record(line);
      record.origin = origin;
      add(std::move(record));
    } catch (const UsageError& error) {
      warnings_.push_back(fmt::format("{}: skipped: {}", origin, error.what()));
    }
  }
}

void TuningTable::read(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    read_text(path, read_file(path, "tuning table"));
    return;
  }
  std::vector<std::string> files;
  for (fs::directory_iterator item(path, error), end; !error && item != end; item.increment(error))
    if (item->path().extension() == ".jsonl") files.push_back(item->path().string());
  if (error) throw UsageError(fmt::format("tuning tables: cannot list {}: {}", path, error.message()));
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) read_text(file, read_file(file, "tuning table"));
}

void TuningTable::add(TableRecord record) {
  indices_.push_back({shape_of(parse_spec(record.spec)), parse_device_traits(record.device)});
  records_.push_back(std::move(record));
}

const TableRecord* TuningTable::find(const Spec& spec, const Fold& fold, const DeviceTraits& device) const {
  const std::string spec_text = text(spec), fold_text = text(fold), shape = shape_of(spec);
  const TableRecord* like = nullptr;
  for (std::size_t i = records_.size(); i-- > 0;) {
    const TableRecord& record = records_[i];
    if (indices_[i].shape != shape || record.fold != fold_text || !same_device(indices_[i].device, device))
      continue;
    if (record.spec == spec_text) return &record;
    if (like == nullptr) like = &record;
  }
  return like;
}

void TuningTable::write(const std::string& path) const {
  std::map<std::tuple<std::string, std::string, std::string>, const TableRecord*> last;
  for (const TableRecord& record : records_) last[key_of(record)] = &record;
  std::string lines;
  for (const auto& [key, record] : last) lines += to_json_line(*record) + "\n";
  write_file_atomically(path, lines, "tuning table");
}

std::optional<TableRecord> merge(const TableRecord& earlier, const TableRecord& measured) {
  const std::vector<Stretch> fresh = stretches_of(measured.ranges);
  const std::int64_t first = fresh.front().low, last = fresh.back().high;
  std::vector<Stretch> all, above;
  for (const Stretch& old : stretches_of(earlier.ranges)) {
    if (old.low < first) all.push_back({old.low, old.high < first ? old.high : old.low, old.range});
    if (old.high > last) above.push_back({old.low > last ? old.low : old.high, old.high, old.range});
  }
  if (all.empty() && above.empty()) return std::nullopt;
  const std::size_t seams[] = {all.size(), all.size() + fresh.size()};
  all.insert(all.end(), fresh.begin(), fresh.end());
  all.insert(all.end(), above.begin(), above.end());

  TableRecord record = measured;
  record.ranges.clear();
  for (std::size_t i = 0; i < all.size(); ++i) {
    TableRange range = all[i].range;
    range.last_measured_tokens = all[i].high;
    if (i == 0)
      range.first_tokens = 1;
    else if (i == seams[0] || i == seams[1])
      range.first_tokens = boundary_between(all[i - 1].high, all[i].low);
    if (!record.ranges.empty() && record.ranges.back().same_launches(range))
      record.ranges.back().last_measured_tokens = range.last_measured_tokens;
    else
      record.ranges.push_back(std::move(range));
  }
  return record;
}

std::optional<TableRecord> add_to_table_file(const std::string& path, const TableRecord& record) {
  // Whoever comes through a link takes the same lock as whoever does not.
  const FileLock lock(resolve_links(path, "tuning table") + ".lock", "tuning table");
  TuningTable table;
  std::error_code error;
  const bool exists = fs::exists(path, error);
  if (error) throw UsageError(fmt::format("tuning table: cannot read {}: {}", path, error.message()));
  if (exists) table.read(path);
  if (!table.warnings().empty())
    throw UsageError(fmt::format("{} is not rewritten, it holds lines that are no records: {}", path,
                                 table.warnings().front()));
  std::optional<TableRecord> earlier, both;
  for (const TableRecord& old : table.records())
    if (key_of(old) == key_of(record)) earlier = old;
  if (earlier && !record.ranges.empty()) both = merge(*earlier, record);
  table.add(both ? *both : record);
  table.write(path);
  return both ? earlier : std::nullopt;
}

}  // namespace isofold
