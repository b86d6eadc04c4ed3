#include "key_values.hpp"

#include <isofold/error.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace isofold {

KeyValues::KeyValues(std::string_view what, std::string_view text, std::vector<std::string_view> heads)
    : what_(what), text_(text.substr(0, 400)) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string_view token = text.substr(at, end - at);
    at = end + 1;
    if (token.empty()) continue;
    const std::size_t equals = token.find('=');
    if (equals != std::string_view::npos) {
      pairs_.emplace_back(token.substr(0, equals), token.substr(equals + 1));
    } else if (head_.empty() && pairs_.empty() && !heads.empty()) {
      head_ = token;
    } else {
      fail(fmt::format("'{}' is not key=value", token));
    }
  }
  if (!heads.empty() && std::find(heads.begin(), heads.end(), head_) == heads.end())
    fail(fmt::format("must begin with {}", fmt::join(heads, " or ")));
}

void KeyValues::fail(const std::string& why) const {
  throw UsageError(fmt::format("{} \"{}\": {}", what_, text_, why));
}

bool KeyValues::has(std::string_view key) const {
  return std::any_of(pairs_.begin(), pairs_.end(), [&](const auto& pair) { return pair.first == key; });
}

std::optional<std::string> KeyValues::take(std::string_view key) {
  for (auto it = pairs_.begin(); it != pairs_.end(); ++it) {
    if (it->first != key) continue;
    std::string value = it->second;
    pairs_.erase(it);
    return value;
  }
  return std::nullopt;
}

std::string KeyValues::word(std::string_view key) {
  if (auto value = take(key)) return *value;
  fail(fmt::format("'{}=' is missing", key));
}

std::optional<std::string> KeyValues::optional_word(std::string_view key) {
  optional_keys_ += fmt::format("{}{}", optional_keys_.empty() ? "; there are " : ", ", key);
  return take(key);
}

long long KeyValues::big_number(std::string_view key, long long least, long long most) {
  const std::string value = word(key);
  long long number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number < least || number > most)
    fail(fmt::format("{}={} must be a whole number from {} to {}", key, value, least, most));
  return number;
}

int KeyValues::number(std::string_view key, int least, int most) {
  return static_cast<int>(big_number(key, least, most));
}

std::size_t KeyValues::choice(std::string_view key, std::vector<std::string_view> names) {
  const std::string value = word(key);
  const auto found = std::find(names.begin(), names.end(), value);
  if (found == names.end()) fail(fmt::format("{}={} must be one of {}", key, value, fmt::join(names, ", ")));
  return static_cast<std::size_t>(found - names.begin());
}

void KeyValues::finish() const {
  if (!pairs_.empty()) fail(fmt::format("unknown or repeated key '{}'{}", pairs_.front().first, optional_keys_));
}

}  // namespace isofold
