#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace isofold {

/// What one file of the disk cache holds. The sections are "ptx", "cubin" and "usage" of a GPU kernel,
/// "object" of a CPU kernel; its source or LLVM IR is the end of the key text. All members are bytes, not
/// only text.
struct CacheEntry {
  std::string key_text;  ///< everything that the content depends on; the file name is its digest
  std::string kind;      ///< "cuda", "cpu", ...
  std::string metadata;  ///< one line for a person who lists the cache
  std::vector<std::pair<std::string, std::string>> sections;  ///< (name, content)

  /// Content of the first section `name`, or null.
  const std::string* section(std::string_view name) const;
  bool operator==(const CacheEntry&) const = default;
};

// File format, schema 1. Numbers are little-endian; a *string* is a u64 length and that many bytes.
//
//   magic        8 bytes   "isofold" and one zero byte
//   schema       u32       1
//   sections     u32       number of sections
//   key_text     string
//   kind         string
//   metadata     string
//   sections times:
//     name       string
//     content    string
//   checksum     32 bytes  XXH3-128 of every byte before it, as lower-case hexadecimal digits
//
// Nothing follows the checksum. A file that differs in any way is damaged: one of another schema never has
// the name of an entry of this one (disk_cache.hpp).

inline constexpr std::uint32_t cache_schema = 1;

/// The bytes of the file of `entry`.
std::string encode(const CacheEntry& entry);

/// The entry in `bytes`, or what is wrong with them. Never throws for any content.
std::variant<CacheEntry, std::string> decode(std::string_view bytes);

}  // namespace isofold
