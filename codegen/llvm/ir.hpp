#pragma once
#include <llvm/ADT/STLFunctionalExtras.h>
#include <llvm/IR/IRBuilder.h>

#include <cstdint>
#include <vector>

namespace isofold {

using Builder = llvm::IRBuilder<>;
/// IR values that belong together, for example one per element of a leaf.
using ValueList = std::vector<llvm::Value*>;
/// Positions for a shuffle; -1 where the result does not matter.
using Mask = std::vector<int>;

/// `width` elements side by side; the element itself when width is 1.
llvm::Type* vector_type(llvm::Type* element, int width);
int width_of(const llvm::Value* value);

/// The constant in every element of a value of type `type`.
llvm::Value* float_constant(llvm::Type* type, double value);
llvm::Value* int_constant(llvm::Type* type, std::uint64_t value);

/// `value` in every one of `width` elements.
llvm::Value* splat(Builder& builder, llvm::Value* value, int width);

/// Same width: floats as their 32 bits (doubles as their 64), and back.
llvm::Value* as_bits(Builder& builder, llvm::Value* floats);
llvm::Value* as_floats(Builder& builder, llvm::Value* bits);

llvm::Value* shuffle(Builder& builder, llvm::Value* a, llvm::Value* b, const Mask& mask);
/// Elements first, first + step, ... (count of them) of `value`.
llvm::Value* every(Builder& builder, llvm::Value* value, int first, int step, int count);
/// All elements of the vectors one after another; a power of two of them, of one type.
llvm::Value* concatenated(Builder& builder, ValueList vectors);

/// Address of element `index` (of `element` type) behind `base`.
llvm::Value* element_address(Builder& builder, llvm::Type* element, llvm::Value* base, llvm::Value* index);
llvm::Value* offset_by(Builder& builder, llvm::Value* index, std::int64_t offset);

/// A local array of `count` elements in the entry block of the function, aligned for any vector.
llvm::AllocaInst* local_array(Builder& builder, llvm::Type* element, std::int64_t count, const char* name);

/// Emits `body(index)` for index = first, first + step, ... below last. When both bounds are constants and
/// the body runs once, no loop is made.
void emit_loop(Builder& builder, llvm::Value* first, llvm::Value* last, std::int64_t step, const char* name,
               llvm::function_ref<void(llvm::Value* index)> body);
void emit_loop(Builder& builder, std::int64_t first, std::int64_t last, std::int64_t step, const char* name,
               llvm::function_ref<void(llvm::Value* index)> body);

}  // namespace isofold
