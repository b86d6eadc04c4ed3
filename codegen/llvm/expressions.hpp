#pragma once
#include <isofold/codegen/spec.hpp>

#include <functional>
#include <map>
#include <utility>

#include "ir.hpp"

namespace isofold {

/// The values of a Spec that are one number for a row: constants, and what follows from the sum.
class RowValues {
 public:
  RowValues(Builder& builder, const Spec& spec)
      : builder_(builder), spec_(spec), levels_(levels(spec)), types_(types(spec)), passes_(passes_before(spec)) {
    scalars_.resize(spec.nodes.size());
  }
  const Spec& spec() const { return spec_; }
  Builder& builder() { return builder_; }
  /// The type of its numbers: float, or double in a Spec of f64.
  llvm::Type* real() const { return is_wide(spec_) ? builder_.getDoubleTy() : builder_.getFloatTy(); }

  bool is_scalar(int node) const;
  /// Emits every constant: once, where they dominate all rows.
  void emit_constants() { emit(Level::constant, 0); }
  /// Begins a row: emits every value of level row that is known before any pass. `read(tensor, place)` gives the element
  /// there of the row's part of an input, widened.
  void emit_before_passes(std::function<llvm::Value*(int tensor, llvm::Value* place)> read);
  /// Emits every value of level row that is known after `passes` passes, given the results of the last one's reductions.
  void emit_after_pass(int passes, std::map<int, llvm::Value*> results) {
    results_ = std::move(results);
    emit(Level::row, passes);
  }
  llvm::Value* scalar(int node) const { return scalars_[static_cast<std::size_t>(node)]; }
  Type type(int node) const { return types_[static_cast<std::size_t>(node)]; }
  /// Emits the vectors of `width` copies that element-level nodes use, as far as they are known, ahead of a loop.
  void hoist(int width);
  llvm::Value* vector(int node, int width);

 private:
  void emit(Level level, int passes);
  llvm::Value* element(const Node& node);

  Builder& builder_;
  const Spec& spec_;
  std::vector<Level> levels_;
  std::vector<Type> types_;
  std::vector<int> passes_;
  std::function<llvm::Value*(int, llvm::Value*)> read_;  // one element of the row's tensors
  std::map<int, llvm::Value*> results_;  // of reductions
  std::vector<llvm::Value*> scalars_;
  std::map<std::pair<int, int>, llvm::Value*> hoisted_;
};

/// `width` elements of a row that are computed side by side. Emits each value at most once.
class Elements {
 public:
  /// `load(tensor)` gives `width` elements of an input as binary32, called once per use of a tensor; `index()` their
  /// places in the row, as 32-bit integers.
  Elements(RowValues& row, int width, std::function<llvm::Value*(int tensor)> load, std::function<llvm::Value*()> index)
      : row_(row),
        width_(width),
        load_(std::move(load)),
        index_(std::move(index)),
        values_(row.spec().nodes.size()),
        bits_(values_.size()) {}

  llvm::Value* value(int node);
  /// The value's bits as `dtype` stores them (see narrow).
  llvm::Value* stored(int node, DType dtype);

 private:
  llvm::Value* emit(int index);

  RowValues& row_;
  int width_;
  std::function<llvm::Value*(int)> load_;
  std::function<llvm::Value*()> index_;
  std::vector<llvm::Value*> values_;
  std::vector<llvm::Value*> bits_;  // of round nodes
};

/// An operation on numbers alone; `integers`: its first operand is one.
llvm::Value* emit_operation(Builder& builder, const Node& node, bool integers, llvm::Value* a, llvm::Value* b, llvm::Value* c);
llvm::Value* emit_fma(Builder& builder, llvm::Value* a, llvm::Value* b, llvm::Value* c);
/// Two partial results of a reduction together.
llvm::Value* emit_combined(Builder& builder, Op reduction, llvm::Value* a, llvm::Value* b);
/// What changes nothing when it is combined with any value.
float identity_of(Op reduction);

}  // namespace isofold
