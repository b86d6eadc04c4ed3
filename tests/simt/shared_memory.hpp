#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace isofold::simt {

/// Shared memory of one block: arrays that start as NaN patterns, each between guards.
class SharedMemory {
 public:
  /// Forgets every array.
  void clear();

  /// Array `index`, made and poisoned when it is first asked for.
  std::byte* array(std::size_t index, std::size_t bytes, std::size_t alignment);

  /// The place in `other` that `pointer` is here; null when it is in none of the arrays.
  std::byte* same_place(const void* pointer, SharedMemory& other) const;

  /// Empty, or which array was written out of bounds.
  std::string broken_guard() const;

 private:
  struct Array {
    std::vector<std::byte> storage;
    std::byte* begin = nullptr;  // null: not asked for
    std::size_t bytes = 0;
    std::size_t alignment = 1;
  };
  std::vector<Array> arrays_;
};

}  // namespace isofold::simt
