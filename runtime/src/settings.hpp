#pragma once
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "log.hpp"

namespace isofold {

enum class SettingSource { builtin, environment };

/// One value and where it came from.
template <class T>
struct Setting {
  T value{};
  SettingSource source = SettingSource::builtin;
};

struct Requirements {
  bool bundled = false, tuned = false;
  bool operator==(const Requirements&) const = default;
};

/// Everything that the environment may change. This is the only place that reads it. An empty variable counts
/// as unset; relative paths are made absolute against the working directory at the time of the call.
struct Settings {
  /// ISOFOLD_DEVICE: auto (the first GPU that can be used, else the CPU), cpu, cuda, or cuda:<n>; "cuda" is
  /// "cuda:0".
  Setting<std::string> device{"auto"};
  /// ISOFOLD_CACHE: the folder of the disk cache, else $XDG_CACHE_HOME/isofold, else $HOME/.cache/isofold. Nothing when it
  /// is "off" or none of them is set: kernels are kept in memory only.
  Setting<std::optional<std::string>> cache{};
  /// ISOFOLD_TABLES: files or folders of tuning tables, separated by ':', searched before the shipped ones.
  Setting<std::vector<std::string>> tables{};
  /// ISOFOLD_BUNDLES: files of kernels that were built ahead of time, separated by ':'.
  Setting<std::vector<std::string>> bundles{};
  /// ISOFOLD_REQUIRE: what must not be made up here: "bundled" (kernels, nothing is compiled), "tuned" (schedules, the
  /// cost model chooses none), or both, separated by ','.
  Setting<Requirements> require{};
  /// ISOFOLD_RECORD: the file to which launched operators and token counts are written.
  Setting<std::optional<std::string>> record{};
  /// ISOFOLD_NVRTC: the NVRTC library to open, a file or a bare name.
  Setting<std::optional<std::string>> nvrtc{};
  /// ISOFOLD_CUDA: the CUDA driver library to open, a file or a bare name.
  Setting<std::optional<std::string>> cuda{};
  /// ISOFOLD_DUMP: a folder to which the generated text of every kernel is written.
  Setting<std::optional<std::string>> dump{};
  /// ISOFOLD_TEMPLATES: an existing folder whose templates replace the embedded ones.
  Setting<std::optional<std::string>> templates{};
  /// ISOFOLD_THREADS: threads of the CPU backend, 1..1024; 0 (the default) is one for each CPU of this
  /// process.
  Setting<std::size_t> threads{0};
  /// ISOFOLD_NVTX: on or off. On gives a profiler ranges of prepare and launch.
  Setting<bool> nvtx{false};
  /// ISOFOLD_LOG: off, error, warning, info or debug.
  Setting<LogLevel> log{LogLevel::warning};

  /// Where other software says that NVRTC may be: $CUDA_HOME and $CUDA_PATH, $VIRTUAL_ENV and $CONDA_PREFIX.
  std::vector<std::string> cuda_roots, python_roots;

  using Lookup = std::function<std::optional<std::string>(const char* name)>;
  /// Reads the process environment. UsageError that names the variable, its value and what is allowed.
  static Settings from_environment();
  /// The same from any source of variables.
  static Settings from(const Lookup& variable);
};

/// One line of a listing: what `isofold doctor` prints.
struct SettingLine {
  std::string variable;  ///< "ISOFOLD_LOG"
  std::string value;     ///< effective value as text; "" where there is none
  SettingSource source;
  std::string meaning;  ///< what it does and what is allowed
};

/// Every setting, in a fixed order.
std::vector<SettingLine> describe(const Settings& settings);

}  // namespace isofold
