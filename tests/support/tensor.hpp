#pragma once
#include <isofold/codegen/dtype.hpp>
#include <isofold/codegen/interpreter.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "support/rows.hpp"

namespace isofold::testing {

/// Where a tensor lies: `rows` rows of `n` elements, `row_stride` elements apart (0: n), the first one
/// `offset` elements behind an address that is aligned to 256 bytes.
struct Shape {
  DType dtype = DType::f32;
  std::int64_t rows = 1;
  std::int64_t n = 1;
  std::int64_t row_stride = 0;
  std::int64_t offset = 0;
};

/// A tensor in host memory with canary bytes before it, between its rows and behind it.
class HostTensor {
 public:
  explicit HostTensor(const Shape& shape);

  const Shape& shape() const { return shape_; }
  DType dtype() const { return shape_.dtype; }
  std::int64_t rows() const { return shape_.rows; }
  std::int64_t n() const { return shape_.n; }
  std::int64_t row_stride() const { return shape_.row_stride; }

  void* data() { return row(0); }
  const void* data() const { return row(0); }
  std::byte* row(std::int64_t index) { return allocation() + row_start(index); }
  const std::byte* row(std::int64_t index) const { return allocation() + row_start(index); }
  View view() { return {data(), shape_.row_stride}; }
  ConstView const_view() const { return {data(), shape_.row_stride}; }

  /// Bit pattern of one element.
  std::uint64_t bits(std::int64_t row, std::int64_t element) const;

  /// The whole allocation, canaries included, for tests that copy it to a device and back: aligned to 256
  /// bytes, with the tensor `data_offset` bytes behind its beginning.
  std::byte* allocation() { return chunks_.data()->bytes; }
  const std::byte* allocation() const { return chunks_.data()->bytes; }
  std::size_t allocation_bytes() const { return size_; }
  std::size_t data_offset() const { return row_start(0); }

  /// Fills every row with one kind; row i uses seed and i.
  void fill(RowKind kind, std::uint64_t seed);
  /// 32-bit integers from `least` to `most`, of any tensor of 4-byte elements.
  void fill_integers(std::int64_t least, std::int64_t most, std::uint64_t seed);
  /// One of these after the other, from number `first` on and round again; the tensor's dtype is T's.
  template <class T>
  void fill_from(std::span<const T> values, std::uint64_t first) {
    for (std::int64_t i = 0; i < shape_.rows; ++i)
      for (std::int64_t element = 0; element < shape_.n; ++element)
        std::memcpy(row(i) + static_cast<std::int64_t>(sizeof(T)) * element, &values[first++ % values.size()], sizeof(T));
  }
  /// Row i is of kind i + first, in the order of all_row_kinds and round again; odd rows are `odd_shift`
  /// kinds further.
  void fill_all_kinds(std::uint64_t seed, std::uint64_t first, std::uint64_t odd_shift);

  /// Empty while every canary is as it was made, else where the first broken one lies.
  std::string broken_canary() const;

 private:
  struct alignas(256) Chunk {
    std::byte bytes[256];
  };

  std::size_t row_start(std::int64_t index) const;

  Shape shape_;
  std::vector<Chunk> chunks_;
  std::size_t size_ = 0;  // bytes in use
};

/// Empty when the elements of both tensors are the same raw bytes, else how many differ and the first one:
/// its row, element and both bit patterns. The shapes may differ in stride and offset.
std::string difference(const HostTensor& actual, const HostTensor& expected);

}  // namespace isofold::testing
