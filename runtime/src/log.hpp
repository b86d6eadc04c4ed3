#pragma once
#include <isofold/log.hpp>

#include <mutex>
#include <set>
#include <string>
#include <string_view>

namespace isofold {

/// Where messages go. Thread-safe; the sink is called by one thread at a time and must not log itself.
class Log {
 public:
  using Sink = LogSink;

  /// Messages above `level` are dropped. Without a sink they are lines "isofold: <level>: <message>" on
  /// stderr.
  explicit Log(LogLevel level = LogLevel::warning, Sink sink = {});

  bool enabled(LogLevel level) const noexcept { return level != LogLevel::off && level <= level_; }
  void write(LogLevel level, std::string_view message);
  void error(std::string_view message) { write(LogLevel::error, message); }
  void warning(std::string_view message) { write(LogLevel::warning, message); }
  void info(std::string_view message) { write(LogLevel::info, message); }
  void debug(std::string_view message) { write(LogLevel::debug, message); }
  /// A warning that is written the first time only for each `topic`.
  void warn_once(std::string_view topic, std::string_view message);

 private:
  LogLevel level_;
  Sink sink_;
  std::mutex mutex_;
  std::set<std::string, std::less<>> warned_;
};

}  // namespace isofold
