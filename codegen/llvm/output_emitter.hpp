#pragma once
#include "expressions.hpp"

namespace isofold {

/// Emits the pass that computes and stores a row's outputs, in the order of memory, reading the row again.
/// Every chunk is read completely before any of it is written, so an output may be the very buffer of an
/// input.
class OutputEmitter {
 public:
  /// First elements of a row (or of a column tensor).
  struct Pointers {
    ValueList inputs;
    ValueList outputs;
    ValueList next_inputs;  // of the row that comes next: fetched ahead
  };

  /// `width`: lanes of a vector register. `streaming`: stores bypass the caches where they are aligned.
  OutputEmitter(RowValues& row, int width, bool streaming);

  void emit(const Pointers& pointers);

 private:
  /// Elements index .. index + width - 1 in one vector or, when pairs are split, in two: even and odd
  /// elements.
  struct Piece {
    llvm::Value* first = nullptr;
    int width = 0;
    bool split = false;
    bool streaming = false;
  };

  void chunks(std::int64_t count, bool streaming);
  void piece(const Piece& piece);
  ValueList load(const Piece& piece, int tensor);
  void store(const Piece& piece, const Output& output, const ValueList& bits);
  void store_number(std::size_t output);
  llvm::Value* pointer_of(const Output& output) const;
  void fetch_ahead(llvm::Value* first);
  llvm::Value* all_aligned();

  RowValues& row_;
  Builder& builder_;
  const Spec& spec_;
  std::vector<const Output*> outputs_;  // those that vary along the row
  int width_;
  bool streaming_;
  bool split_;  // 16-bit tensors are read and written as 32-bit words of two elements
  int chunk_;   // elements in one turn of the loop
  const Pointers* pointers_ = nullptr;
};

}  // namespace isofold
