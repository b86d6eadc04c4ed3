#include "cache_entry.hpp"

#include <isofold/codegen/digest.hpp>
#include <optional>

namespace isofold {
namespace {

constexpr std::string_view magic("isofold\0", 8);
constexpr std::size_t checksum_bytes = 32;

template <class Number>
void put_number(std::string& bytes, Number number) {
  for (std::size_t byte = 0; byte < sizeof(Number); ++byte)
    bytes.push_back(static_cast<char>((number >> (8 * byte)) & 0xff));
}

void put_string(std::string& bytes, std::string_view text) {
  put_number(bytes, static_cast<std::uint64_t>(text.size()));
  bytes += text;
}

/// Takes values from the front of `rest`; nothing when it is too short.
struct Reader {
  std::string_view rest;

  template <class Number>
  std::optional<Number> number() {
    if (rest.size() < sizeof(Number)) return std::nullopt;
    Number value = 0;
    for (std::size_t byte = 0; byte < sizeof(Number); ++byte)
      value |= static_cast<Number>(static_cast<unsigned char>(rest[byte])) << (8 * byte);
    rest.remove_prefix(sizeof(Number));
    return value;
  }

  bool string(std::string& text) {
    const std::optional<std::uint64_t> size = number<std::uint64_t>();
    if (!size || *size > rest.size()) return false;
    text = rest.substr(0, *size);
    rest.remove_prefix(*size);
    return true;
  }
};

}  // namespace

const std::string* CacheEntry::section(std::string_view name) const {
  for (const auto& [section_name, content] : sections)
    if (section_name == name) return &content;
  return nullptr;
}

std::string encode(const CacheEntry& entry) {
  std::string bytes(magic);
  put_number(bytes, cache_schema);
  put_number(bytes, static_cast<std::uint32_t>(entry.sections.size()));
  put_string(bytes, entry.key_text);
  put_string(bytes, entry.kind);
  put_string(bytes, entry.metadata);
  for (const auto& [name, content] : entry.sections) {
    put_string(bytes, name);
    put_string(bytes, content);
  }
  bytes += digest(bytes);
  return bytes;
}

std::variant<CacheEntry, std::string> decode(std::string_view bytes) {
  if (!bytes.starts_with(magic)) return "not a cache entry";
  if (bytes.size() < magic.size() + checksum_bytes) return "cut short";
  const std::string_view content = bytes.substr(0, bytes.size() - checksum_bytes);
  if (digest(content) != bytes.substr(content.size())) return "checksum differs";
  Reader reader{content.substr(magic.size())};
  const std::optional<std::uint32_t> schema = reader.number<std::uint32_t>();
  if (schema != cache_schema) return "the schema is not that of its name";
  const std::optional<std::uint32_t> sections = reader.number<std::uint32_t>();
  CacheEntry entry;
  bool whole =
      sections && reader.string(entry.key_text) && reader.string(entry.kind) && reader.string(entry.metadata);
  for (std::uint32_t index = 0; whole && index < *sections; ++index) {
    auto& [name, text] = entry.sections.emplace_back();
    whole = reader.string(name) && reader.string(text);
  }
  if (!whole || !reader.rest.empty()) return "lengths that do not add up";
  return entry;
}

}  // namespace isofold
