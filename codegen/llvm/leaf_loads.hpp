#pragma once
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/spec.hpp>

#include "ir.hpp"

namespace isofold {

/// Reads runs of leaves and turns them into vectors of fold lanes.
///
/// A block is `width` neighbouring leaves, one for each lane of a vector, so it is one run of memory. Leaves
/// lie there element by element and a vector needs the same element of every leaf: the block is transposed in
/// 32-bit words (two elements of a 16-bit dtype at once, told apart afterwards), within the 128-bit parts of
/// the registers alone. That leaves the lanes of a vector in the order `lane_at`, which only the lane tree
/// has to know.
class LeafLoads {
 public:
  /// `pointers`: first element of the row (or of the column tensor) for each input of the Spec.
  LeafLoads(Builder& builder, const Spec& spec, const Fold& fold, int width, ValueList pointers);

  /// Lane of the block that a position of its vectors holds.
  const Mask& lane_at() const { return lane_at_; }

  /// Element j of every leaf as binary32 (f64: binary64), for j = 0 .. leaf - 1, of the block at element `first` of which
  /// `count` elements exist (the rest holds anything finite).
  ValueList load(int tensor, llvm::Value* first, int count);

 private:
  int leaf_bytes(int tensor) const;
  llvm::Type* storage(int tensor);
  llvm::Value* loaded(int tensor, llvm::Type* type, llvm::Value* first, int offset);
  /// 16 bytes of a leaf as four words; what lies at or past `count` is zero.
  llvm::Value* part(int tensor, llvm::Value* first, int offset, int count);
  ValueList words_by_transposition(int tensor, llvm::Value* first, int count);
  ValueList words_of_small_leaves(int tensor, llvm::Value* first);
  ValueList element_by_element(int tensor, llvm::Value* first, int count);

  Builder& builder_;
  const Spec& spec_;
  int leaf_;
  int width_;
  ValueList pointers_;
  Mask lane_at_;
};

}  // namespace isofold
