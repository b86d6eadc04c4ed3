#include "launch_record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <isofold/codegen/device_traits.hpp>
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/spec.hpp>
#include <isofold/error.hpp>
#include <nlohmann/json.hpp>

#include "files.hpp"

namespace isofold {
namespace {

using Json = nlohmann::ordered_json;

std::int64_t tokens_from(const std::string& text) {
  std::int64_t tokens = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), tokens);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || tokens < 1)
    throw UsageError(fmt::format("\"{}\" is no token count", text));
  return tokens;
}

LaunchRecord record_from(std::string_view line) {
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) throw UsageError("not JSON");
  try {
    LaunchRecord record{text(parse_spec(json.at("spec").get<std::string>())),
                        text(parse_fold(json.at("fold").get<std::string>())),
                        text(parse_device_traits(json.at("device").get<std::string>())),
                        {},
                        json.at("others").get<std::uint64_t>()};
    for (const auto& [tokens, launches] : json.at("launches").items())
      record.launches[tokens_from(tokens)] = launches.get<std::uint64_t>();
    return record;
  } catch (const Json::exception&) {
    throw UsageError("it needs spec, fold, device, launches and others");
  }
}

std::string to_line(const LaunchRecord& record) {
  Json launches = Json::object();
  for (const auto& [tokens, count] : record.launches) launches[std::to_string(tokens)] = count;
  const Json line = {{"spec", record.spec},
                     {"fold", record.fold},
                     {"device", record.device},
                     {"launches", std::move(launches)},
                     {"others", record.others}};
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::vector<LaunchRecord> read_launch_records(const std::string& path) {
  std::vector<LaunchRecord> records;
  read_lines(path, "launch record", [&](std::string_view line) {
    try {
      records.push_back(record_from(line));
    } catch (const UsageError& error) {
      throw UsageError(fmt::format("not a record of launches (ISOFOLD_RECORD makes them): {}", error.what()));
    }
  });
  return records;
}

void add_launch_records(const std::string& path, const std::vector<LaunchRecord>& records) {
  const FileLock lock(resolve_links(path, "launch record") + ".lock", "launch record");
  std::vector<LaunchRecord> all;
  if (std::error_code error; std::filesystem::exists(path, error)) all = read_launch_records(path);
  for (const LaunchRecord& record : records) {
    const auto same = std::find_if(all.begin(), all.end(), [&](const LaunchRecord& old) {
      return old.spec == record.spec && old.fold == record.fold && old.device == record.device;
    });
    if (same == all.end()) {
      all.push_back(record);
      continue;
    }
    for (const auto& [tokens, count] : record.launches) same->launches[tokens] += count;
    same->others += record.others;
  }
  std::string lines;
  for (const LaunchRecord& record : all) lines += to_line(record);
  write_file_atomically(path, lines, "launch record");
}

}  // namespace isofold
