#include "bench_result.hpp"

#include <algorithm>
#include <isofold/error.hpp>
#include <nlohmann/json.hpp>

namespace isofold::tools {
namespace {

constexpr const char* schema = "isofold bench 1";
constexpr std::size_t most_tokens = 4096;

/// A time that was not measured is null.
Json times_json(const std::vector<double>& times) {
  Json list = Json::array();
  for (const double time : times) list.push_back(time < 0 ? Json(nullptr) : Json(time));
  return list;
}

Json time_json(double time) { return time < 0 ? Json(nullptr) : Json(time); }

double parse_time(const Json& json) {
  if (json.is_null()) return -1;
  const double time = json.get<double>();
  if (!(time >= 0 && time < 1e12)) throw UsageError(fmt::format("a time is {} microseconds", time));
  return time;
}

std::vector<double> parse_times(const Json& json, std::size_t count) {
  std::vector<double> times;
  for (const Json& item : json) times.push_back(parse_time(item));
  if (!times.empty() && times.size() != count)
    throw UsageError(fmt::format("a line has {} times for {} token counts", times.size(), count));
  return times;
}

Json to_json(const BenchLine& line) {
  return {{"key", line.key},
          {"name", line.name},
          {"kernel_us", times_json(line.kernel)},
          {"call_us", times_json(line.call)},
          {"detail", line.detail},
          {"missing", line.missing}};
}

BenchResult parse(const Json& json) {
  if (!json.is_object() || !json.contains("schema") || json["schema"] != schema)
    throw UsageError(fmt::format("not a result of isofold bench: \"schema\" is not \"{}\"", schema));
  BenchResult result;
  for (const auto& [key, member] : {std::pair<const char*, std::string*>{"title", &result.title},
                                    {"spec", &result.spec},
                                    {"fold", &result.fold},
                                    {"bits_id", &result.bits_id},
                                    {"device", &result.device},
                                    {"device_name", &result.device_name},
                                    {"environment", &result.environment},
                                    {"date", &result.date}})
    *member = json.at(key).get<std::string>();
  result.gpu = json.at("gpu").get<bool>();
  result.bytes_per_token = json.at("bytes_per_token").get<std::int64_t>();
  result.tokens = json.at("tokens").get<std::vector<std::int64_t>>();
  if (result.tokens.empty() || result.tokens.size() > most_tokens)
    throw UsageError(
        fmt::format("there are {} token counts; allowed are 1 to {}", result.tokens.size(), most_tokens));
  for (std::size_t i = 0; i < result.tokens.size(); ++i)
    if (result.tokens[i] <= (i == 0 ? 0 : result.tokens[i - 1]))
      throw UsageError("token counts must ascend from 1");
  for (const Json& item : json.at("lines")) {
    BenchLine line;
    line.key = item.at("key").get<std::string>();
    line.name = item.at("name").get<std::string>();
    line.kernel = parse_times(item.at("kernel_us"), result.tokens.size());
    line.call = parse_times(item.at("call_us"), result.tokens.size());
    line.detail = item.at("detail").get<std::vector<std::string>>();
    line.missing = item.at("missing").get<std::string>();
    result.lines.push_back(std::move(line));
  }
  const Json& host = json.at("host_us");
  result.host = {parse_time(host.at("launch")), parse_time(host.at("empty_launch")),
                 parse_time(host.at("first_use_cold")), parse_time(host.at("first_use_disk")),
                 parse_time(host.at("first_use_memory"))};
  return result;
}

}  // namespace

bool was_measured(const BenchLine& line) {
  const auto some = [](const std::vector<double>& times) {
    return std::any_of(times.begin(), times.end(), [](double time) { return time > 0; });
  };
  return some(line.kernel) || some(line.call);
}

Json to_json(const BenchResult& result) {
  Json lines = Json::array();
  for (const BenchLine& line : result.lines) lines.push_back(to_json(line));
  return {{"schema", schema},
          {"title", result.title},
          {"spec", result.spec},
          {"fold", result.fold},
          {"bits_id", result.bits_id},
          {"device", result.device},
          {"device_name", result.device_name},
          {"environment", result.environment},
          {"date", result.date},
          {"gpu", result.gpu},
          {"bytes_per_token", result.bytes_per_token},
          {"tokens", result.tokens},
          {"lines", lines},
          {"host_us",
           {{"launch", time_json(result.host.launch)},
            {"empty_launch", time_json(result.host.empty_launch)},
            {"first_use_cold", time_json(result.host.first_use_cold)},
            {"first_use_disk", time_json(result.host.first_use_disk)},
            {"first_use_memory", time_json(result.host.first_use_memory)}}}};
}

BenchResult parse_bench_result(const Json& json) {
  try {
    return parse(json);
  } catch (const Json::exception&) {
    throw UsageError(fmt::format(
        "not a result of isofold bench: a key of the schema \"{}\" is missing or of another type; "
        "`isofold bench --json` and `isofold chart` make such files",
        schema));
  }
}

const BenchLine* find_line(const BenchResult& result, std::string_view key) {
  for (const BenchLine& line : result.lines)
    if (line.key == key) return &line;
  return nullptr;
}

}  // namespace isofold::tools
