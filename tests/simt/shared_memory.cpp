#include "simt/shared_memory.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <cstring>

namespace isofold::simt {
namespace {

constexpr std::size_t guard = 256;
constexpr std::byte guard_byte{0xa7};
constexpr std::uint32_t poison = 0x7fd17fd1;  // a NaN as binary32, and each half as bf16 and f16

}  // namespace

void SharedMemory::clear() {
  for (Array& array : arrays_) array.begin = nullptr;
}

std::byte* SharedMemory::array(std::size_t index, std::size_t bytes, std::size_t alignment) {
  if (arrays_.size() <= index) arrays_.resize(index + 1);
  Array& array = arrays_[index];
  if (array.begin) return array.begin;
  array.storage.assign(bytes + 2 * guard + alignment, guard_byte);
  const auto address = reinterpret_cast<std::uintptr_t>(array.storage.data()) + guard;
  array.begin = array.storage.data() + guard + (alignment - address % alignment) % alignment;
  array.bytes = bytes;
  array.alignment = alignment;
  for (std::size_t i = 0; i < bytes; ++i)
    array.begin[i] = static_cast<std::byte>(poison >> (8 * (i % sizeof poison)));
  return array.begin;
}

std::byte* SharedMemory::same_place(const void* pointer, SharedMemory& other) const {
  const auto* at = static_cast<const std::byte*>(pointer);
  for (std::size_t index = 0; index < arrays_.size(); ++index) {
    const Array& array = arrays_[index];
    if (array.begin && at >= array.begin && at < array.begin + array.bytes)
      return other.array(index, array.bytes, array.alignment) + (at - array.begin);
  }
  return nullptr;
}

std::string SharedMemory::broken_guard() const {
  for (std::size_t index = 0; index < arrays_.size(); ++index) {
    const Array& array = arrays_[index];
    if (!array.begin) continue;
    for (const std::byte* at = array.storage.data(); at < array.storage.data() + array.storage.size(); ++at) {
      if (at == array.begin) at += array.bytes;
      if (*at != guard_byte)
        return fmt::format("shared array {} of {} bytes was written at byte {}", index, array.bytes,
                           at - array.begin);
    }
  }
  return {};
}

}  // namespace isofold::simt
