#include <ctime>
#include <isofold/error.hpp>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "disk_cache.hpp"
#include "numbers.hpp"
#include "settings.hpp"

namespace isofold::tools {
namespace {

std::string local_time(std::int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  localtime_r(&time, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &parts)};
}

/// "500M", "2G", "1048576": bytes.
std::uint64_t parse_size(std::string text) {
  std::uint64_t unit = 1;
  constexpr std::string_view units = "KMGT";
  if (const auto place = text.empty() ? units.npos : units.find(text.back()); place != units.npos) {
    unit = std::uint64_t{1} << (10 * (place + 1));
    text.pop_back();
  }
  constexpr std::int64_t most = std::int64_t{1} << 62;
  return static_cast<std::uint64_t>(parse_whole("--max-size (a number, then nothing, K, M, G or T)", text, 0,
                                                most / static_cast<std::int64_t>(unit))) *
         unit;
}

/// "30d", "12h", "90m", "10s".
std::chrono::seconds parse_duration(std::string text) {
  constexpr std::string_view units = "smhd";
  constexpr std::int64_t seconds[] = {1, 60, 3600, 86400};
  const auto place = text.empty() ? units.npos : units.find(text.back());
  if (place == units.npos)
    throw UsageError(
        fmt::format("--unused-for is \"{}\"; allowed is a number with s, m, h or d, such as 30d", text));
  text.pop_back();
  return std::chrono::seconds(parse_whole("--unused-for (a number, then s, m, h or d)", text, 0, 1'000'000) *
                              seconds[place]);
}

/// "add_rms_norm N=8192 | gpu threads=512 ... | sm_90" of a kernel's metadata, which is the text of its plan.
std::string short_metadata(const std::string& metadata) {
  const std::size_t tensors = metadata.find(" (");
  const std::size_t schedule = metadata.find(" | ", metadata.find(" | ") + 1);
  if (tensors > metadata.find(" | ") || schedule >= metadata.size()) return metadata;
  return metadata.substr(0, tensors) + metadata.substr(schedule);
}

Json to_json(const DiskCache::EntryInfo& entry) {
  return {{"digest", entry.digest}, {"kind", entry.kind}, {"metadata", entry.metadata},
          {"bytes", entry.bytes},   {"used", entry.used}, {"problem", entry.problem}};
}

int list_or_verify(const Console& console, DiskCache& cache, bool only_damaged) {
  const std::vector<DiskCache::EntryInfo> all = cache.list();
  Json entries = Json::array();
  Table table({"digest", "kind", ">size", "last use", "what"});
  std::uint64_t bytes = 0;
  std::size_t damaged = 0;
  for (const DiskCache::EntryInfo& entry : all) {
    bytes += entry.bytes;
    damaged += !entry.problem.empty();
    if (only_damaged && entry.problem.empty()) continue;
    entries.push_back(to_json(entry));
    table.row(
        {entry.digest.substr(0, 12), entry.kind, byte_count(static_cast<double>(entry.bytes)),
         local_time(entry.used),
         entry.problem.empty() ? short_metadata(entry.metadata) : console.bad("damaged: " + entry.problem)});
  }
  if (!entries.empty()) table.print(console);
  console.line("{}: {} entries, {}, {} damaged", cache.folder(), all.size(),
               byte_count(static_cast<double>(bytes)), damaged);
  console.document({{"folder", cache.folder()},
                    {"count", all.size()},
                    {"bytes", bytes},
                    {"damaged", damaged},
                    {"entries", entries}});
  return only_damaged && damaged > 0 ? exit_check_failed : exit_ok;
}

int report_removed(const Console& console, const DiskCache& cache, const DiskCache::Removed& removed) {
  console.line("{}: removed {} entries, {}", cache.folder(), removed.entries,
               byte_count(static_cast<double>(removed.bytes)));
  console.document({{"folder", cache.folder()}, {"removed", removed.entries}, {"bytes", removed.bytes}});
  return exit_ok;
}

}  // namespace

int run_cache(const Console& console, const CacheArguments& options) {
  const Settings settings = Settings::from_environment();
  if (!settings.cache_dir.value)
    throw UsageError("there is no cache folder: set ISOFOLD_CACHE_DIR, XDG_CACHE_HOME or HOME");
  std::string trouble;
  Log log(LogLevel::warning, [&](LogLevel, std::string_view message) { trouble += message; });
  DiskCache cache(settings.cache_dir.value, log);
  if (!cache.usable())
    throw UsageError(fmt::format("the cache {} cannot be used: {}", cache.folder(), trouble));
  using Action = CacheArguments::Action;
  if (options.action == Action::list) return list_or_verify(console, cache, false);
  if (options.action == Action::verify) return list_or_verify(console, cache, true);
  if (options.action == Action::clear) return report_removed(console, cache, cache.clear());
  DiskCache::PruneLimits limits;
  if (!options.max_size.empty()) limits.max_bytes = parse_size(options.max_size);
  if (!options.unused_for.empty()) limits.unused_for = parse_duration(options.unused_for);
  return report_removed(console, cache, cache.prune(limits));
}

}  // namespace isofold::tools
