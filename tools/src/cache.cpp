#include <charconv>
#include <ctime>
#include <isofold/error.hpp>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "disk_cache.hpp"
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
std::uint64_t parse_size(const std::string& given) {
  std::string text = given;
  std::uint64_t unit = 1;
  constexpr std::string_view units = "KMGT";
  if (const auto place = text.empty() ? units.npos : units.find(text.back()); place != units.npos) {
    unit = std::uint64_t{1} << (10 * (place + 1));
    text.pop_back();
  }
  const std::uint64_t most = (std::uint64_t{1} << 62) / unit;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value > most)
    throw UsageError(fmt::format(
        "--max-size is \"{}\"; allowed is a number of bytes, or one with K, M, G or T, such as 500M", given));
  return value * unit;
}

/// "30d", "12h", "90m", "10s".
std::chrono::seconds parse_duration(const std::string& given) {
  std::string text = given;
  constexpr std::string_view units = "smhd";
  constexpr std::int64_t seconds[] = {1, 60, 3600, 86400};
  const auto place = text.empty() ? units.npos : units.find(text.back());
  if (place != units.npos) text.pop_back();
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (place == units.npos || text.empty() || error != std::errc() || end != text.data() + text.size() ||
      value < 0 || value > 1'000'000)
    throw UsageError(fmt::format(
        "--unused-for is \"{}\"; allowed is a number up to 1000000 with s, m, h or d, such as 30d", given));
  return std::chrono::seconds(value * seconds[place]);
}

/// "add_rms_norm N=8192 bf16 | leaf=8 ... | gpu threads=512 ... | sm_90" of a kernel's metadata, which is the
/// text of its plan: without the tensors and formulas, but the first tensor's dtype.
std::string short_metadata(const std::string& metadata) {
  const std::size_t spec_end = metadata.find(" | ");
  if (spec_end == metadata.npos) return metadata;
  try {
    return title_of(parse_spec(metadata.substr(0, spec_end))) + metadata.substr(spec_end);
  } catch (const UsageError&) {
    return metadata;
  }
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
  console.line("{}: {}, {}, {} damaged", cache.folder(),
               counted(static_cast<std::int64_t>(all.size()), "entry"),
               byte_count(static_cast<double>(bytes)), damaged);
  console.document({{"folder", cache.folder()},
                    {"count", all.size()},
                    {"bytes", bytes},
                    {"damaged", damaged},
                    {"entries", entries}});
  return only_damaged && damaged > 0 ? exit_check_failed : exit_ok;
}

int report_removed(const Console& console, const DiskCache& cache, const DiskCache::Removed& removed) {
  console.line("{}: removed {}, {}", cache.folder(),
               counted(static_cast<std::int64_t>(removed.entries), "entry"),
               byte_count(static_cast<double>(removed.bytes)));
  console.document({{"folder", cache.folder()}, {"removed", removed.entries}, {"bytes", removed.bytes}});
  return exit_ok;
}

}  // namespace

int run_cache(const Console& console, const CacheArguments& options) {
  const Settings settings = Settings::from_environment();
  if (!settings.cache.value)
    throw UsageError("there is no cache folder: set ISOFOLD_CACHE (a folder), XDG_CACHE_HOME or HOME");
  std::string trouble;
  Log log(LogLevel::warning, [&](LogLevel, std::string_view message) { trouble += message; });
  DiskCache cache(settings.cache.value, log);
  if (!cache.usable()) throw UsageError(trouble);
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
