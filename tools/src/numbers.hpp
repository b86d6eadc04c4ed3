#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace isofold::tools {

/// A whole number from `least` to `most`; UsageError that quotes `text` and names `what` and the range
/// otherwise.
std::int64_t parse_whole(std::string_view what, std::string_view text, std::int64_t least, std::int64_t most);

/// Largest token count that the command line takes; devices set closer limits.
inline constexpr std::int64_t max_tokens = std::int64_t{1} << 40;

/// The nine of the chart that the project started from.
inline constexpr const char* default_tokens = "1,8,32,128,256,512,1024,2048,4096";

/// Token counts, ascending and without repetition: "1,8,32", "1..1024" (every count), "1..16384x2" (1, 2, 4,
/// ...) and mixtures. UsageError for anything else, and for more than 100,000 of them.
std::vector<std::int64_t> parse_tokens(const std::string& text);

}  // namespace isofold::tools
