#include "structures.hpp"

namespace isofold::c {

void copy_text(std::string_view text, char* buffer, std::size_t capacity, std::size_t* needed) {
  if (needed != nullptr) *needed = text.size() + 1;
  if (buffer == nullptr) {
    if (needed == nullptr) throw Failure(ISOFOLD_ERROR_ARGUMENT, "buffer and needed are both null");
    if (capacity > 0) throw Failure(ISOFOLD_ERROR_ARGUMENT, "buffer is null, capacity is {}", capacity);
    return;
  }
  if (capacity > 0) buffer[0] = '\0';
  if (capacity <= text.size())
    throw Failure(ISOFOLD_ERROR_BUFFER, "the text has {} bytes with its NUL, the buffer {}", text.size() + 1, capacity);
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
}

}  // namespace isofold::c
