#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "failure.hpp"

namespace isofold::c {

/// Checks the struct_size that the caller set: at least `first_size`, that of the first version, and nothing set behind what
/// this library knows.
template <class Structure>
void check_size(const Structure* given, const char* name, std::size_t first_size) {
  not_null(given, name);
  const std::size_t size = given->struct_size;
  if (size < first_size || size > 65536)
    throw Failure(ISOFOLD_ERROR_ARGUMENT, "{}: struct_size is {}, it must be sizeof the structure, here {}", name, size, sizeof(Structure));
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  if (size > sizeof(Structure) && std::any_of(bytes + sizeof(Structure), bytes + size, [](unsigned char byte) { return byte != 0; }))
    throw Failure(ISOFOLD_ERROR_ARGUMENT, "{}: something is set behind its {} bytes that this version of the library knows", name,
                  sizeof(Structure));
}

/// The caller's structure, with zeros for what it does not have yet.
template <class Structure>
Structure read_structure(const Structure* given, const char* name, std::size_t first_size) {
  check_size(given, name, first_size);
  Structure read{};
  std::memcpy(&read, given, std::min(given->struct_size, sizeof(Structure)));
  return read;
}

/// A text of the caller's that may be null: then empty.
inline std::string_view text_or_empty(const char* text) { return text == nullptr ? std::string_view() : text; }

/// The rules of isofold_runtime_query.
void copy_text(std::string_view text, char* buffer, std::size_t capacity, std::size_t* needed);

}  // namespace isofold::c
