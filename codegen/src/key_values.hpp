#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace isofold {

/// Reads the one-line text forms "head key=value key=value ...". Every getter names the text in its UsageError.
class KeyValues {
 public:
  /// `what` names the text in messages. With `heads`, the first word must be one of them.
  KeyValues(std::string_view what, std::string_view text, std::vector<std::string_view> heads = {});
  const std::string& head() const { return head_; }
  bool has(std::string_view key) const;
  std::string word(std::string_view key);
  /// Nothing when the key is absent; the message about a key that nobody asked for lists those that were.
  std::optional<std::string> optional_word(std::string_view key);
  int number(std::string_view key, int least, int most);
  long long big_number(std::string_view key, long long least, long long most);
  /// Index of the value in `names`.
  std::size_t choice(std::string_view key, std::vector<std::string_view> names);
  /// Throws when a key was not asked for.
  void finish() const;

  [[noreturn]] void fail(const std::string& why) const;

 private:
  std::optional<std::string> take(std::string_view key);
  std::string what_;
  std::string text_;
  std::string head_;
  std::vector<std::pair<std::string, std::string>> pairs_;
  std::string optional_keys_;
};

}  // namespace isofold
