#pragma once
#include <isofold/codegen/dtype.hpp>

#include "ir.hpp"

namespace isofold {

/// The integer that a tensor's element is in memory.
llvm::Type* storage(Builder& builder, DType dtype);

/// Exact widening of stored bits (i32 or a vector of them, dtypes of 16 and 8 bits in the low bits, the others zero) to
/// binary32, of 64 bits to binary64. Integer code, and for f16 and e4m3 one exact product: no host instruction for 16-bit
/// formats.
llvm::Value* widen(Builder& builder, llvm::Value* bits, DType dtype);

/// Bits to store for a binary32 value (or vector): rounded to nearest even, NaN canonical; dtypes of 16 and 8 bits
/// come in the low bits, the others zero. Integer code, and for f16 one addition that does the
/// rounding.
llvm::Value* narrow(Builder& builder, llvm::Value* value, DType dtype);

}  // namespace isofold
