#pragma once
#include <isofold/export.hpp>

#include <cstdint>
#include <functional>
#include <string_view>

namespace ISOFOLD_API isofold {

/// How much is said: each level includes those before it.
enum class LogLevel : std::uint8_t { off, error, warning, info, debug };

/// "off", "error", ...
std::string_view name_of(LogLevel level);

/// Takes one message, without a line end. Called by one thread at a time per Runtime, from whichever thread works for it;
/// it must not call the Runtime or its operators. What it throws is dropped.
using LogSink = std::function<void(LogLevel level, std::string_view message)>;

}  // namespace isofold
