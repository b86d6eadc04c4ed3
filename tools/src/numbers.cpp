#include "numbers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <isofold/error.hpp>

namespace isofold::tools {
namespace {

constexpr std::size_t most_counts = 100'000;

/// Parts of `text` between separators; an empty text has one empty part.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::int64_t parse_count(std::string_view text) { return parse_whole("--tokens", text, 1, max_tokens); }

void add_range(std::string_view part, std::size_t dots, std::vector<std::int64_t>& counts) {
  std::string_view last_text = part.substr(dots + 2);
  std::int64_t factor = 1;
  if (const std::size_t x = last_text.find('x'); x != std::string_view::npos) {
    factor = parse_whole("--tokens: the factor after x", last_text.substr(x + 1), 2, 1024);
    last_text = last_text.substr(0, x);
  }
  const std::int64_t first = parse_count(part.substr(0, dots));
  const std::int64_t last = parse_count(last_text);
  if (first > last) throw UsageError(fmt::format("--tokens: the range \"{}\" is empty", part));
  for (std::int64_t count = first; count <= last; count = factor == 1 ? count + 1 : count * factor) {
    if (counts.size() >= most_counts)
      throw UsageError(fmt::format("--tokens: more than {} token counts", most_counts));
    counts.push_back(count);
  }
}

}  // namespace

std::int64_t parse_whole(std::string_view what, std::string_view text, std::int64_t least,
                         std::int64_t most) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < least ||
      value > most)
    throw UsageError(
        fmt::format("{} is \"{}\"; allowed is a whole number from {} to {}", what, text, least, most));
  return value;
}

std::vector<std::int64_t> parse_tokens(const std::string& text) {
  std::vector<std::int64_t> counts;
  for (const std::string_view part : split(text, ',')) {
    if (const std::size_t dots = part.find(".."); dots != std::string_view::npos)
      add_range(part, dots, counts);
    else
      counts.push_back(parse_count(part));
  }
  std::sort(counts.begin(), counts.end());
  counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
  return counts;
}

}  // namespace isofold::tools
