#include "log.hpp"

#include <cstdio>
#include <utility>

namespace isofold {

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::off:
      return "off";
    case LogLevel::error:
      return "error";
    case LogLevel::warning:
      return "warning";
    case LogLevel::info:
      return "info";
    case LogLevel::debug:
      return "debug";
  }
  return "unknown";
}

namespace {

void write_to_stderr(LogLevel level, std::string_view message) {
  const std::string_view name = name_of(level);
  std::fprintf(stderr, "isofold: %.*s: %.*s\n", static_cast<int>(name.size()), name.data(),
               static_cast<int>(message.size()), message.data());
}

}  // namespace

Log::Log(LogLevel level, Sink sink) : level_(level), sink_(sink ? std::move(sink) : Sink(write_to_stderr)) {}

void Log::write(LogLevel level, std::string_view message) {
  if (!enabled(level)) return;
  const std::lock_guard guard(mutex_);
  try {
    sink_(level, message);
  } catch (...) {  // of the program's own: what is being done does not fail for a message, nor a thread of the library
  }
}

void Log::warn_once(std::string_view topic, std::string_view message) {
  {
    const std::lock_guard guard(mutex_);
    if (!warned_.emplace(topic).second) return;
  }
  write(LogLevel::warning, message);
}

}  // namespace isofold
