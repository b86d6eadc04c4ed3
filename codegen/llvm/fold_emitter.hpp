#pragma once
#include <isofold/codegen/fold.hpp>

#include "expressions.hpp"
#include "leaf_loads.hpp"

namespace isofold {

/// Emits a row's reduction: the fold's leaves, lanes, lane trees and segment tree. A SIMD register is a run of fold
/// lanes. Every accumulator starts as the exact identity of the reduction (-0.0 of addition), so what has no element needs
/// no branch.
class FoldEmitter {
 public:
  /// `width`: lanes of a vector register.
  FoldEmitter(RowValues& row, const Fold& fold, int width);

  /// The result of reduction `node` over the row whose inputs start at `pointers` (one for each input of the Spec).
  llvm::Value* reduce(int node, const ValueList& pointers);

  /// Locals that can be promoted to values when the function is complete.
  const std::vector<llvm::AllocaInst*>& promotable() const { return promotable_; }

 private:
  llvm::Value* segment(llvm::Value* first, std::int64_t count);
  /// One round over all lanes, of which `count` elements exist. `fresh`: no lane has an element yet.
  void round(llvm::Value* first, std::int64_t count, bool fresh);
  void group(llvm::Value* group, llvm::Value* first, int count, bool fresh);
  llvm::Value* lane_tree();
  llvm::Value* segment_tree();
  llvm::Value* combined(llvm::Value* a, llvm::Value* b) { return emit_combined(builder_, op_, a, b); }
  llvm::Value* places(llvm::Value* first, int element);
  llvm::Value* accumulator(llvm::Value* group);
  llvm::Value* segment_place(llvm::Value* segment);

  RowValues& row_;
  Builder& builder_;
  Fold fold_;
  std::int64_t n_;
  int width_;   // lanes in a vector
  int groups_;  // vectors of lanes
  std::int64_t leaves_per_segment_;
  std::vector<llvm::AllocaInst*> promotable_;
  std::vector<llvm::AllocaInst*>
      accumulators_;                        // one for each group, or one array when there are many groups
  llvm::AllocaInst* segments_ = nullptr;    // sums, in bit-reversed order
  llvm::GlobalVariable* places_ = nullptr;  // of each segment in segments_
  LeafLoads* loads_ = nullptr;              // of the row that is being emitted
  int reduction_ = -1;                      // the node
  Op op_ = Op::sum;                         // its operation
};

}  // namespace isofold
