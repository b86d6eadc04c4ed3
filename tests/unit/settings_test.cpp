#include "settings.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <isofold/error.hpp>
#include <map>

#include "support/error_text.hpp"
#include "support/temporary_folder.hpp"

using isofold::LogLevel;
using isofold::Settings;
using isofold::SettingSource;
using isofold::UsageError;

namespace {

Settings read(const std::map<std::string, std::string>& variables) {
  return Settings::from([&](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}

std::string error_of(const std::string& name, const std::string& value) {
  return isofold::testing::usage_error([&] { read({{name, value}}); });
}

}  // namespace

TEST_CASE("nothing set") {
  const Settings settings = read({});
  CHECK(settings.device.value == "auto");
  CHECK_FALSE(settings.cache.value);
  CHECK(settings.tables.value.empty());
  CHECK(settings.threads.value == 0);
  CHECK(settings.log.value == LogLevel::warning);
  for (const auto& line : describe(settings)) CHECK(line.source == SettingSource::builtin);
}

TEST_CASE("every variable") {
  const std::string here = std::filesystem::current_path().string();
  const Settings settings = read({{"ISOFOLD_DEVICE", "cuda:3"},
                                  {"ISOFOLD_CACHE", "relative/cache"},
                                  {"ISOFOLD_TABLES", "/tmp:/"},
                                  {"ISOFOLD_BUNDLES", "/tmp"},
                                  {"ISOFOLD_REQUIRE", "tuned,bundled"},
                                  {"ISOFOLD_RECORD", "launches.jsonl"},
                                  {"ISOFOLD_NVRTC", "libnvrtc.so.12"},
                                  {"ISOFOLD_CUDA", "/proc/self/exe"},
                                  {"ISOFOLD_DUMP", "/tmp/dump"},
                                  {"ISOFOLD_TEMPLATES", "/tmp"},
                                  {"ISOFOLD_THREADS", "1024"},
                                  {"ISOFOLD_NVTX", "on"},
                                  {"ISOFOLD_LOG", "debug"},
                                  {"CUDA_HOME", "/opt/cuda"},
                                  {"VIRTUAL_ENV", "/opt/venv"}});
  CHECK(settings.device.value == "cuda:3");
  CHECK(settings.cache.value == here + "/relative/cache");
  CHECK(settings.tables.value == std::vector<std::string>{"/tmp", "/"});
  CHECK(settings.bundles.value == std::vector<std::string>{"/tmp"});
  CHECK(settings.require.value == isofold::Requirements{.bundled = true, .tuned = true});
  CHECK(settings.record.value == here + "/launches.jsonl");
  CHECK(settings.nvrtc.value == "libnvrtc.so.12");
  CHECK(settings.cuda.value == "/proc/self/exe");
  CHECK(settings.dump.value == "/tmp/dump");
  CHECK(settings.templates.value == "/tmp");
  CHECK(settings.threads.value == 1024);
  CHECK(settings.nvtx.value);
  CHECK(settings.log.value == LogLevel::debug);
  CHECK(settings.cuda_roots == std::vector<std::string>{"/opt/cuda"});
  CHECK(settings.python_roots == std::vector<std::string>{"/opt/venv"});
  const auto lines = describe(settings);
  CHECK(lines.size() == 13);
  for (const auto& line : lines) {
    CHECK(line.source == SettingSource::environment);
    CHECK_FALSE(line.value.empty());
  }
}

TEST_CASE("where the cache is") {
  CHECK(read({{"HOME", "/home/a"}}).cache.value == "/home/a/.cache/isofold");
  CHECK(read({{"HOME", "/home/a"}, {"XDG_CACHE_HOME", "/x"}}).cache.value == "/x/isofold");
  CHECK(read({{"HOME", "/home/a"}, {"XDG_CACHE_HOME", "x"}}).cache.value == "/home/a/.cache/isofold");
  CHECK(read({{"HOME", "/home/a"}, {"ISOFOLD_CACHE", "/c"}}).cache.value == "/c");
  const Settings off = read({{"HOME", "/home/a"}, {"ISOFOLD_CACHE", "off"}});
  CHECK_FALSE(off.cache.value);
  CHECK(off.cache.source == SettingSource::environment);
  CHECK(read({{"HOME", "/home/a"}}).cache.source == SettingSource::builtin);
  CHECK_FALSE(read({{"HOME", ""}}).cache.value);
}

TEST_CASE("an empty variable is an unset one, and cuda is the first device") {
  CHECK(read({{"ISOFOLD_LOG", ""}}).log.source == SettingSource::builtin);
  CHECK(read({{"ISOFOLD_DEVICE", "cuda"}}).device.value == "cuda:0");
}

TEST_CASE("a bad value is refused with its name, itself and what is allowed") {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"ISOFOLD_DEVICE", "gpu"},
      {"ISOFOLD_DEVICE", "cuda:"},
      {"ISOFOLD_DEVICE", "cuda:-1"},
      {"ISOFOLD_DEVICE", "cuda:1x"},
      {"ISOFOLD_CACHE", "on"},
      {"ISOFOLD_NVTX", "1"},
      {"ISOFOLD_CACHE", "/proc/self/exe"},
      {"ISOFOLD_TABLES", "/tmp:"},
      {"ISOFOLD_TABLES", "/no/such"},
      {"ISOFOLD_BUNDLES", "/no/such"},
      {"ISOFOLD_REQUIRE", "everything"},
      {"ISOFOLD_REQUIRE", "tuned,"},
      {"ISOFOLD_RECORD", "/tmp/"},
      {"ISOFOLD_NVRTC", "/no/such.so"},
      {"ISOFOLD_CUDA", "/tmp/"},
      {"ISOFOLD_DUMP", "/proc/self/exe"},
      {"ISOFOLD_TEMPLATES", "/no/such"},
      {"ISOFOLD_THREADS", "0"},
      {"ISOFOLD_THREADS", "1025"},
      {"ISOFOLD_THREADS", "-1"},
      {"ISOFOLD_THREADS", "4 "},
      {"ISOFOLD_THREADS", "99999999999999999999"},
      {"ISOFOLD_LOG", "verbose"},
  };
  for (const auto& [name, value] : bad) {
    CAPTURE(name);
    CAPTURE(value);
    const std::string message = error_of(name, value);
    CHECK(message.starts_with(name + " is \"" + value + "\"; allowed: "));
  }
}

TEST_CASE("a relative path in a working directory that is gone") {
  namespace fs = std::filesystem;
  const fs::path before = fs::current_path();
  const isofold::testing::TemporaryFolder folder;
  fs::current_path(folder.path());
  fs::remove(folder.path());
  const std::string relative = error_of("ISOFOLD_CACHE", "./cache");
  const std::string absolute = error_of("ISOFOLD_CACHE", "/cache");
  fs::current_path(before);
  CHECK(relative.starts_with(
      "ISOFOLD_CACHE is \"./cache\"; allowed: an absolute path, as the working directory is unknown: "));
  CHECK(absolute == "");
}

TEST_CASE("the process environment is what from_environment reads") {
  REQUIRE(setenv("ISOFOLD_LOG", "error", 1) == 0);
  CHECK(Settings::from_environment().log.value == LogLevel::error);
  REQUIRE(unsetenv("ISOFOLD_LOG") == 0);
  CHECK(Settings::from_environment().log.value == LogLevel::warning);
}
