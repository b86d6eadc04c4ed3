#include "settings.hpp"

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <isofold/error.hpp>

namespace isofold {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_threads = 1024;

[[noreturn]] void refuse(const char* variable, const std::string& value, const std::string& allowed) {
  throw UsageError(std::string(variable) + " is \"" + value + "\"; allowed: " + allowed);
}

/// The digits of `text` as a number no larger than `largest`; anything else gives nothing.
std::optional<std::size_t> parse_number(std::string_view text, std::size_t largest) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || number > largest)
    return std::nullopt;
  return number;
}

std::string absolute(const char* variable, const std::string& path) {
  std::error_code error;
  const fs::path whole = fs::absolute(path, error);
  if (error)
    refuse(variable, path, "an absolute path, as the working directory is unknown: " + error.message());
  return whole.lexically_normal().string();
}

std::string parse_device(const char* variable, const std::string& value) {
  if (value == "auto" || value == "cpu") return value;
  if (value == "cuda") return "cuda:0";
  if (value.starts_with("cuda:") && parse_number(value.substr(5), 1023)) return value;
  refuse(variable, value, "auto, cpu, cuda or cuda:<number of the device>");
}

bool parse_switch(const char* variable, const std::string& value) {
  if (value == "on") return true;
  if (value == "off") return false;
  refuse(variable, value, "on or off");
}

std::size_t parse_threads(const char* variable, const std::string& value) {
  const std::optional<std::size_t> number = parse_number(value, max_threads);
  if (!number || *number == 0) refuse(variable, value, "1 to " + std::to_string(max_threads));
  return *number;
}

LogLevel parse_level(const char* variable, const std::string& value) {
  for (LogLevel level : {LogLevel::off, LogLevel::error, LogLevel::warning, LogLevel::info, LogLevel::debug})
    if (value == name_of(level)) return level;
  refuse(variable, value, "off, error, warning, info or debug");
}

/// A bare name is left to the loader's search; anything with a slash must be a file that exists.
std::string parse_library(const char* variable, const std::string& value) {
  if (value.find('/') == std::string::npos) return value;
  std::error_code error;
  if (!fs::is_regular_file(value, error))
    refuse(variable, value, "a library file that exists, or a bare name");
  return absolute(variable, value);
}

std::string parse_existing_folder(const char* variable, const std::string& value) {
  std::error_code error;
  if (!fs::is_directory(value, error)) refuse(variable, value, "a folder that exists");
  return absolute(variable, value);
}

bool is_other_than_folder(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error) && !fs::is_directory(path, error);
}

std::string parse_new_folder(const char* variable, const std::string& value) {
  if (is_other_than_folder(value)) refuse(variable, value, "a folder (it is made when it is missing)");
  return absolute(variable, value);
}

/// Nothing for "off". A word without a slash is a slip of one who means a switch, not a folder to be made here.
std::optional<std::string> parse_cache(const char* variable, const std::string& value) {
  if (value == "off") return std::nullopt;
  if (value.find('/') == value.npos || is_other_than_folder(value))
    refuse(variable, value, "off, or a folder with a '/' in its path (it is made when it is missing)");
  return absolute(variable, value);
}

std::vector<std::string> parse_paths(const char* variable, const std::string& value) {
  std::vector<std::string> paths;
  for (std::size_t start = 0; start <= value.size();) {
    const std::size_t end = std::min(value.find(':', start), value.size());
    const std::string path = value.substr(start, end - start);
    std::error_code error;
    if (path.empty() || !fs::exists(path, error))
      refuse(variable, value, "files or folders that exist, separated by ':' (\"" + path + "\" is not one)");
    paths.push_back(absolute(variable, path));
    start = end + 1;
  }
  return paths;
}

/// A file that need not be there.
std::string parse_new_file(const char* variable, const std::string& value) {
  std::error_code error;
  if (value.ends_with('/') || (fs::exists(value, error) && !fs::is_regular_file(value, error)))
    refuse(variable, value, "a file (it is made when it is missing)");
  return absolute(variable, value);
}

Requirements parse_requirements(const char* variable, const std::string& value) {
  Requirements requirements;
  for (std::size_t start = 0; start <= value.size();) {
    const std::size_t end = std::min(value.find(',', start), value.size());
    const std::string word = value.substr(start, end - start);
    if (word != "bundled" && word != "tuned") refuse(variable, value, "bundled, tuned, or both: bundled,tuned");
    (word == "tuned" ? requirements.tuned : requirements.bundled) = true;
    start = end + 1;
  }
  return requirements;
}

std::string words_of(const Requirements& requirements) {
  if (requirements.bundled && requirements.tuned) return "bundled,tuned";
  return requirements.bundled ? "bundled" : requirements.tuned ? "tuned" : "";
}

std::optional<std::string> default_cache_dir(const Settings::Lookup& variable) {
  // A relative XDG_CACHE_HOME is invalid by the base directory specification and is ignored.
  if (const auto xdg = variable("XDG_CACHE_HOME"); xdg && xdg->starts_with('/')) return *xdg + "/isofold";
  if (const auto home = variable("HOME"); home && home->starts_with('/')) return *home + "/.cache/isofold";
  return std::nullopt;
}

/// The non-empty values of `names`, in order.
std::vector<std::string> values_of(const Settings::Lookup& variable,
                                   std::initializer_list<const char*> names) {
  std::vector<std::string> values;
  for (const char* name : names)
    if (std::optional<std::string> value = variable(name); value && !value->empty()) values.push_back(*value);
  return values;
}

std::string joined(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ":") + item;
  return text;
}

}  // namespace

Settings Settings::from_environment() {
  return from([](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    return value;
  });
}

Settings Settings::from(const Lookup& variable) {
  Settings settings;
  settings.cache.value = default_cache_dir(variable);
  settings.cuda_roots = values_of(variable, {"CUDA_HOME", "CUDA_PATH"});
  settings.python_roots = values_of(variable, {"VIRTUAL_ENV", "CONDA_PREFIX"});
  const auto read = [&](auto& setting, const char* name, auto parse) {
    const std::optional<std::string> text = variable(name);
    if (!text || text->empty()) return;
    setting.value = parse(name, *text);
    setting.source = SettingSource::environment;
  };
  read(settings.device, "ISOFOLD_DEVICE", parse_device);
  read(settings.cache, "ISOFOLD_CACHE", parse_cache);
  read(settings.tables, "ISOFOLD_TABLES", parse_paths);
  read(settings.bundles, "ISOFOLD_BUNDLES", parse_paths);
  read(settings.require, "ISOFOLD_REQUIRE", parse_requirements);
  read(settings.record, "ISOFOLD_RECORD", parse_new_file);
  read(settings.nvrtc, "ISOFOLD_NVRTC", parse_library);
  read(settings.cuda, "ISOFOLD_CUDA", parse_library);
  read(settings.dump, "ISOFOLD_DUMP", parse_new_folder);
  read(settings.templates, "ISOFOLD_TEMPLATES", parse_existing_folder);
  read(settings.threads, "ISOFOLD_THREADS", parse_threads);
  read(settings.nvtx, "ISOFOLD_NVTX", parse_switch);
  read(settings.log, "ISOFOLD_LOG", parse_level);
  return settings;
}

std::vector<SettingLine> describe(const Settings& s) {
  return {
      {"ISOFOLD_DEVICE", s.device.value, s.device.source, "device to run on: auto, cpu, cuda or cuda:<n>"},
      {"ISOFOLD_CACHE", s.cache.value.value_or("off"), s.cache.source, "disk cache: its folder, or off"},
      {"ISOFOLD_TABLES", joined(s.tables.value), s.tables.source,
       "tuning tables that take precedence: files or folders, separated by ':'"},
      {"ISOFOLD_BUNDLES", joined(s.bundles.value), s.bundles.source,
       "kernels built ahead of time: files, separated by ':'"},
      {"ISOFOLD_REQUIRE", words_of(s.require.value), s.require.source,
       "what must not be made up here: bundled (compile nothing), tuned (no modelled schedule), or both"},
      {"ISOFOLD_RECORD", s.record.value.value_or(""), s.record.source,
       "file to which launched operators and token counts are written"},
      {"ISOFOLD_NVRTC", s.nvrtc.value.value_or(""), s.nvrtc.source, "NVRTC library to open"},
      {"ISOFOLD_CUDA", s.cuda.value.value_or(""), s.cuda.source, "CUDA driver library to open"},
      {"ISOFOLD_DUMP", s.dump.value.value_or(""), s.dump.source,
       "folder for the generated text of every kernel"},
      {"ISOFOLD_TEMPLATES", s.templates.value.value_or(""), s.templates.source,
       "folder whose templates replace the embedded ones"},
      {"ISOFOLD_THREADS", s.threads.value == 0 ? "" : std::to_string(s.threads.value), s.threads.source,
       "threads of the CPU backend, 1 to " + std::to_string(max_threads) + "; default: one for each CPU"},
      {"ISOFOLD_NVTX", s.nvtx.value ? "on" : "off", s.nvtx.source, "ranges for profilers (NVTX): on or off"},
      {"ISOFOLD_LOG", std::string(name_of(s.log.value)), s.log.source,
       "messages: off, error, warning, info or debug"},
  };
}

}  // namespace isofold
