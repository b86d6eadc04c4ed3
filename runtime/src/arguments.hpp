#pragma once
#include <isofold/codegen/spec.hpp>
#include <isofold/runtime.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace isofold {

/// The arguments of a launch after the checks: the kernel's parameters in the order of cuda_emitter.hpp, each
/// 8 bytes wide (pointers of inputs and outputs, row strides in elements of row inputs and outputs, tokens).
struct Parameters {
  std::array<std::uint64_t, 2 * max_tensors + 1> values;
  std::size_t count = 0;
  /// Lowest of the tensors' pointers and row strides.
  int alignment_class = 0;
};

/// Alignment classes: accesses of 1, 2, 4 or 8 elements, and, last, no limit (16 bytes are the widest access).
inline constexpr int alignment_classes = 5;

/// Class of tensors that are all aligned to `bytes` (a power of two).
int alignment_class_of(const Spec& spec, int bytes);
/// The most bytes of which that is the class, or less.
int alignment_bytes_of(const Spec& spec, int alignment_class);

/// What the checks of a launch need to know of a Spec. Immutable.
class ArgumentLayout {
 public:
  /// Throws UsageError for a Spec with more than max_tensors tensors.
  explicit ArgumentLayout(const Spec& spec);

  /// Checks and orders the arguments of a launch over `tokens` (>= 1) rows. Does not allocate unless it
  /// throws. Throws UsageError for the wrong number of tensors, null or misaligned pointers, a stride below
  /// N, sizes that overflow, and for overlap: an output may be the very buffer of one row input (same start,
  /// stride and dtype) unless the Spec reads single elements of that, and touches no other tensor. Pointers of tensors
  /// without elements may be null.
  void bind(std::span<const ConstTensor> inputs, std::span<const MutableTensor> outputs, std::int64_t tokens,
            Parameters& parameters) const;

 private:
  struct Facts {
    std::string name;
    DType dtype;
    bool strided;           // rows, or one number per token
    int groups;             // rows that lie together
    bool vectors;           // has rows of several elements, which vector accesses cut
    std::int64_t elements;  // of all rows that lie together
    bool gathered;          // single elements of it are read at any time: no output may take its place
    int shift;              // log2 of the element's size
  };
  /// Bytes that a tensor covers: [begin, begin + bytes), rows of row_bytes every stride_bytes.
  struct Region {
    std::uint64_t begin;
    std::uint64_t bytes;
    std::uint64_t row_bytes;
    std::uint64_t stride_bytes;
  };

  Region check(const Facts& facts, const void* data, std::int64_t stride, std::int64_t tokens,
               int& lowest) const;
  void check_overlap(const Facts& a, const Region& region_a, const Facts& b, const Region& region_b,
                     bool may_be_identical) const;

  std::vector<Facts> inputs_;
  std::vector<Facts> outputs_;
};

}  // namespace isofold
