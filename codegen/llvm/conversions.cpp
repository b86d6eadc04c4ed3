#include "conversions.hpp"

namespace isofold {
namespace {

constexpr std::uint32_t float_infinity = 0x7f800000;

llvm::Value* widen_f16(Builder& builder, llvm::Value* bits) {
  llvm::Type* type = bits->getType();
  const auto constant = [&](std::uint32_t value) { return int_constant(type, value); };
  llvm::Value* magnitude = builder.CreateAnd(bits, constant(0x7fff));
  llvm::Value* sign = builder.CreateShl(builder.CreateXor(bits, magnitude), constant(16));
  llvm::Value* shifted = builder.CreateShl(magnitude, constant(13));
  // Exponent bias 15 becomes 127; that of infinity and NaN, 31, becomes 255.
  llvm::Value* rebias = builder.CreateSelect(builder.CreateICmpSGT(magnitude, constant(0x7bff)),
                                             constant((255 - 31) << 23), constant((127 - 15) << 23));
  llvm::Value* normal = builder.CreateAdd(shifted, rebias);
  // 2^-14 * (1 + m) - 2^-14 is the subnormal 2^-14 * m, exactly.
  llvm::Value* one_added = as_floats(builder, builder.CreateAdd(shifted, constant(113 << 23)));
  llvm::Value* smallest_normal = float_constant(one_added->getType(), 0x1p-14f);
  llvm::Value* subnormal = as_bits(builder, builder.CreateFSub(one_added, smallest_normal));
  llvm::Value* is_subnormal = builder.CreateICmpSLT(magnitude, constant(0x400));
  return as_floats(builder, builder.CreateOr(builder.CreateSelect(is_subnormal, subnormal, normal), sign));
}

llvm::Value* narrow_f16(Builder& builder, llvm::Value* value) {
  llvm::Value* bits = as_bits(builder, value);
  llvm::Type* type = bits->getType();
  const auto constant = [&](std::uint32_t v) { return int_constant(type, v); };
  llvm::Value* magnitude = builder.CreateAnd(bits, constant(0x7fffffff));
  llvm::Value* sign = builder.CreateLShr(builder.CreateXor(bits, magnitude), constant(16));
  // Round half to even at bit 13 and move the exponent's bias from 127 to 15.
  llvm::Value* odd = builder.CreateAnd(builder.CreateLShr(magnitude, constant(13)), constant(1));
  llvm::Value* rounded = builder.CreateAdd(builder.CreateAdd(magnitude, constant(0xfff - (112u << 23))), odd);
  llvm::Value* normal = builder.CreateLShr(rounded, constant(13));
  // Below 2^-14 the unit is 2^-24, which is the unit of 0.5f: the addition rounds, the low bits count units.
  llvm::Value* half = float_constant(value->getType(), 0.5f);
  llvm::Value* counted = as_bits(builder, builder.CreateFAdd(as_floats(builder, magnitude), half));
  llvm::Value* subnormal = builder.CreateSub(counted, constant(126 << 23));
  llvm::Value* result =
      builder.CreateSelect(builder.CreateICmpSLT(magnitude, constant(113 << 23)), subnormal, normal);
  llvm::Value* overflows = builder.CreateICmpSGT(magnitude, constant(0x477fffff));  // 2^16 and more
  result = builder.CreateOr(builder.CreateSelect(overflows, constant(0x7c00), result), sign);
  llvm::Value* is_nan = builder.CreateICmpSGT(magnitude, constant(float_infinity));
  return builder.CreateSelect(is_nan, constant(0x7fff), result);
}

llvm::Value* narrow_bf16(Builder& builder, llvm::Value* value) {
  llvm::Value* bits = as_bits(builder, value);
  llvm::Type* type = bits->getType();
  const auto constant = [&](std::uint32_t v) { return int_constant(type, v); };
  llvm::Value* odd = builder.CreateAnd(builder.CreateLShr(bits, constant(16)), constant(1));
  llvm::Value* rounded = builder.CreateAdd(builder.CreateAdd(bits, constant(0x7fff)), odd);
  llvm::Value* is_nan = builder.CreateFCmpUNO(value, value);
  return builder.CreateLShr(builder.CreateSelect(is_nan, constant(0x7fff0000), rounded), constant(16));
}

}  // namespace

llvm::Value* widen(Builder& builder, llvm::Value* bits, DType dtype) {
  if (dtype == DType::f16) return widen_f16(builder, bits);
  if (dtype == DType::bf16) bits = builder.CreateShl(bits, int_constant(bits->getType(), 16));
  return as_floats(builder, bits);
}

llvm::Value* narrow(Builder& builder, llvm::Value* value, DType dtype) {
  if (dtype == DType::bf16) return narrow_bf16(builder, value);
  if (dtype == DType::f16) return narrow_f16(builder, value);
  llvm::Value* bits = as_bits(builder, value);
  return builder.CreateSelect(builder.CreateFCmpUNO(value, value), int_constant(bits->getType(), 0x7fffffff), bits);
}

}  // namespace isofold
