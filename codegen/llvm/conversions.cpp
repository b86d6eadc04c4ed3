#include "conversions.hpp"

namespace isofold {
namespace {

llvm::Value* widen_f16(Builder& builder, llvm::Value* bits) {
  llvm::Type* type = bits->getType();
  const auto constant = [&](std::uint32_t value) { return int_constant(type, value); };
  // Sign, exponent and fraction go to their places in binary32. The exponent is still biased by 15, not 127:
  // a product with 2^112, exact for every pattern, mends that and makes subnormals normal.
  llvm::Value* spread = builder.CreateAShr(builder.CreateShl(bits, constant(16)), constant(3));
  llvm::Value* placed = as_floats(builder, builder.CreateAnd(spread, constant(0x8fffe000)));
  llvm::Value* value =
      as_bits(builder, builder.CreateFMul(placed, float_constant(placed->getType(), 0x1p112f)));
  llvm::Value* exponent = builder.CreateAnd(bits, constant(0x7c00));
  llvm::Value* is_special = builder.CreateICmpEQ(exponent, constant(0x7c00));  // infinity or NaN
  return as_floats(
      builder, builder.CreateOr(value, builder.CreateSelect(is_special, constant(0x7f800000), constant(0))));
}

/// As in f16: the bias is mended by a product with 2^120.
llvm::Value* widen_e4m3(Builder& builder, llvm::Value* bits) {
  llvm::Type* type = bits->getType();
  const auto constant = [&](std::uint32_t value) { return int_constant(type, value); };
  llvm::Value* low = builder.CreateAnd(bits, constant(0x7f));
  llvm::Value* placed = as_floats(builder, builder.CreateShl(low, constant(20)));
  llvm::Value* magnitude = as_bits(builder, builder.CreateFMul(placed, float_constant(placed->getType(), 0x1p120f)));
  magnitude = builder.CreateSelect(builder.CreateICmpEQ(low, constant(0x7f)), constant(0x7fffffff), magnitude);
  return as_floats(builder, builder.CreateOr(magnitude, builder.CreateShl(builder.CreateAnd(bits, constant(0x80)), constant(24))));
}

llvm::Value* widen_i8(Builder& builder, llvm::Value* bits) {
  llvm::Type* type = bits->getType();
  llvm::Value* number = builder.CreateAShr(builder.CreateShl(bits, int_constant(type, 24)), int_constant(type, 24));
  return builder.CreateSIToFP(number, vector_type(builder.getFloatTy(), width_of(bits)));
}

llvm::Value* narrow_f16(Builder& builder, llvm::Value* value) {
  llvm::Value* bits = as_bits(builder, value);
  llvm::Type* type = bits->getType();
  const auto constant = [&](std::uint32_t v) { return int_constant(type, v); };
  const auto least = [&](llvm::Value* a, llvm::Value* b) {
    return builder.CreateBinaryIntrinsic(llvm::Intrinsic::smin, a, b);
  };
  llvm::Value* sign = builder.CreateLShr(builder.CreateAnd(bits, constant(0x80000000)), constant(16));
  // 2^16 and more, infinity included, is infinity.
  llvm::Value* magnitude = least(builder.CreateAnd(bits, constant(0x7fffffff)), constant(0x47800000));
  // Units of f16's last place: of the value's binade 2^e, or of 2^-14 for subnormals. 2^(e + 13) has just
  // this unit in binary32, so that adding it rounds to nearest even and leaves the number of units in the low
  // bits.
  llvm::Value* binade = builder.CreateBinaryIntrinsic(
      llvm::Intrinsic::smax, builder.CreateAnd(magnitude, constant(0x7f800000)), constant(113 << 23));
  llvm::Value* unit = builder.CreateAdd(binade, constant(13 << 23));
  llvm::Value* counted =
      as_bits(builder, builder.CreateFAdd(as_floats(builder, magnitude), as_floats(builder, unit)));
  llvm::Value* units = builder.CreateSub(counted, unit);
  llvm::Value* below = builder.CreateSub(builder.CreateLShr(binade, constant(13)), constant(113 << 10));
  llvm::Value* result = builder.CreateOr(builder.CreateAdd(units, below), sign);
  return builder.CreateSelect(builder.CreateFCmpUNO(value, value), constant(0x7fff), result);
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

/// As in f16, with its last place: adding a number of 2^20 times the value's binade counts units.
llvm::Value* narrow_e4m3(Builder& builder, llvm::Value* value) {
  llvm::Value* bits = as_bits(builder, value);
  llvm::Type* type = bits->getType();
  const auto constant = [&](std::uint32_t v) { return int_constant(type, v); };
  llvm::Value* sign = builder.CreateLShr(builder.CreateAnd(bits, constant(0x80000000)), constant(24));
  llvm::Value* magnitude = builder.CreateBinaryIntrinsic(llvm::Intrinsic::smin, builder.CreateAnd(bits, constant(0x7fffffff)),
                                                         constant(0x43e00000));  // 448
  llvm::Value* binade = builder.CreateBinaryIntrinsic(
      llvm::Intrinsic::smax, builder.CreateAnd(magnitude, constant(0x7f800000)), constant(121u << 23));
  llvm::Value* unit = builder.CreateAdd(binade, constant(20u << 23));
  llvm::Value* counted = as_bits(builder, builder.CreateFAdd(as_floats(builder, magnitude), as_floats(builder, unit)));
  llvm::Value* below = builder.CreateSub(builder.CreateLShr(binade, constant(20)), constant(121u << 3));
  llvm::Value* result = builder.CreateOr(builder.CreateAdd(builder.CreateSub(counted, unit), below), sign);
  return builder.CreateSelect(builder.CreateFCmpUNO(value, value), constant(0x7f), result);
}

/// Adding 1.5 * 2^23 leaves the nearest integer in the low bits.
llvm::Value* narrow_i8(Builder& builder, llvm::Value* value) {
  llvm::Type* type = value->getType();
  const auto number = [&](float v) { return float_constant(type, v); };
  value = builder.CreateSelect(builder.CreateFCmpUNO(value, value), number(0), value);
  value = builder.CreateSelect(builder.CreateFCmpOLT(value, number(-128)), number(-128), value);
  value = builder.CreateSelect(builder.CreateFCmpOGT(value, number(127)), number(127), value);
  llvm::Value* counted = as_bits(builder, builder.CreateFAdd(value, number(12582912)));
  return builder.CreateAnd(counted, int_constant(counted->getType(), 0xff));
}

}  // namespace

llvm::Type* storage(Builder& builder, DType dtype) { return builder.getIntNTy(static_cast<unsigned>(8 * size_of(dtype))); }

llvm::Value* widen(Builder& builder, llvm::Value* bits, DType dtype) {
  if (dtype == DType::f16) return widen_f16(builder, bits);
  if (dtype == DType::e4m3) return widen_e4m3(builder, bits);
  if (dtype == DType::i8) return widen_i8(builder, bits);
  if (dtype == DType::bf16) bits = builder.CreateShl(bits, int_constant(bits->getType(), 16));
  return as_floats(builder, bits);
}

llvm::Value* narrow(Builder& builder, llvm::Value* value, DType dtype) {
  if (dtype == DType::bf16) return narrow_bf16(builder, value);
  if (dtype == DType::f16) return narrow_f16(builder, value);
  if (dtype == DType::e4m3) return narrow_e4m3(builder, value);
  if (dtype == DType::i8) return narrow_i8(builder, value);
  llvm::Value* bits = as_bits(builder, value);
  const std::uint64_t canonical_nan = dtype == DType::f64 ? 0x7fffffffffffffff : 0x7fffffff;
  return builder.CreateSelect(builder.CreateFCmpUNO(value, value), int_constant(bits->getType(), canonical_nan), bits);
}

}  // namespace isofold
