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
  RowValues(Builder& builder, const Spec& spec) : builder_(builder), spec_(spec), levels_(levels(spec)), passes_(passes_before(spec)) {
    scalars_.resize(spec.nodes.size());
  }
  const Spec& spec() const { return spec_; }
  Builder& builder() { return builder_; }

  bool is_scalar(int node) const;
  /// Emits every constant: once, where they dominate all rows.
  void emit_constants() { emit(Level::constant, 0); }
  /// Emits every value of level row that is known after pass `pass` (from 0), given that pass's sum.
  void emit_after_pass(int pass, llvm::Value* sum) {
    sum_ = sum;
    emit(Level::row, pass + 1);
  }
  /// Emits the vectors of `width` copies that element-level nodes use, as far as they are known, ahead of a loop.
  void hoist(int width);
  llvm::Value* vector(int node, int width);

 private:
  void emit(Level level, int passes);

  Builder& builder_;
  const Spec& spec_;
  std::vector<Level> levels_;
  std::vector<int> passes_;
  llvm::Value* sum_ = nullptr;
  std::vector<llvm::Value*> scalars_;
  std::map<std::pair<int, int>, llvm::Value*> hoisted_;
};

/// `width` elements of a row that are computed side by side. Emits each value at most once.
class Elements {
 public:
  /// `load(tensor)` gives `width` elements of an input as binary32; called once per use of a tensor.
  Elements(RowValues& row, int width, std::function<llvm::Value*(int tensor)> load)
      : row_(row),
        width_(width),
        load_(std::move(load)),
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
  std::vector<llvm::Value*> values_;
  std::vector<llvm::Value*> bits_;  // of round nodes
};

/// One operation of the scalar IR other than input, constant, round and sum.
llvm::Value* emit_operation(Builder& builder, Op op, llvm::Value* a, llvm::Value* b, llvm::Value* c);
llvm::Value* emit_fma(Builder& builder, llvm::Value* a, llvm::Value* b, llvm::Value* c);

}  // namespace isofold
