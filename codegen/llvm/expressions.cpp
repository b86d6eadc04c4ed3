#include "expressions.hpp"

#include <isofold/codegen/functions.hpp>
#include <isofold/error.hpp>

#include <array>
#include <limits>

#include "conversions.hpp"

namespace isofold {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

}  // namespace

llvm::Value* emit_fma(Builder& builder, llvm::Value* a, llvm::Value* b, llvm::Value* c) {
  return builder.CreateIntrinsic(llvm::Intrinsic::fma, {a->getType()}, {a, b, c});
}

namespace {

llvm::Value* emit_larger(Builder& builder, llvm::Value* a, llvm::Value* b) {
  // Of equal values the sign bit tells -0 from +0: their patterns' conjunction is +0 unless both are -0.
  llvm::Value* both = as_floats(builder, builder.CreateAnd(as_bits(builder, a), as_bits(builder, b)));
  llvm::Value* ordered = builder.CreateSelect(builder.CreateFCmpOGT(a, b), a, b);
  llvm::Value* larger = builder.CreateSelect(builder.CreateFCmpOEQ(a, b), both, ordered);
  // b where it is NaN already, by the comparisons; a where a is.
  return builder.CreateSelect(builder.CreateFCmpUNO(a, a), a, larger);
}

llvm::Value* emit_smaller(Builder& builder, llvm::Value* a, llvm::Value* b) {
  llvm::Value* either = as_floats(builder, builder.CreateOr(as_bits(builder, a), as_bits(builder, b)));
  llvm::Value* ordered = builder.CreateSelect(builder.CreateFCmpOLT(a, b), a, b);
  llvm::Value* smaller = builder.CreateSelect(builder.CreateFCmpOEQ(a, b), either, ordered);
  return builder.CreateSelect(builder.CreateFCmpUNO(a, a), a, smaller);
}

}  // namespace

llvm::Value* emit_combined(Builder& builder, Op reduction, llvm::Value* a, llvm::Value* b) {
  if (reduction == Op::sum) return builder.CreateFAdd(a, b);
  return reduction == Op::reduce_max ? emit_larger(builder, a, b) : emit_smaller(builder, a, b);
}

float identity_of(Op reduction) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  return reduction == Op::sum ? -0.0f : reduction == Op::reduce_max ? -infinity : infinity;
}

namespace {

/// The function's definition, value by value.
llvm::Value* emit_call(Builder& builder, const Function& function, const std::array<llvm::Value*, 3>& arguments) {
  const int width = width_of(arguments[0]);
  ValueList values;
  for (const Node& node : function.nodes) {
    const auto operand = [&](int index) { return index < 0 ? nullptr : values[at(index)]; };
    if (node.op == Op::parameter)
      values.push_back(arguments[at(node.tensor)]);
    else if (node.op == Op::constant)
      values.push_back(float_constant(vector_type(builder.getFloatTy(), width), node.value));
    else if (node.op == Op::integer)
      values.push_back(int_constant(vector_type(builder.getInt32Ty(), width), static_cast<std::uint32_t>(node.integer)));
    else
      values.push_back(emit_operation(builder, node, node.a >= 0 && function.types[at(node.a)] == Type::i32, operand(node.a),
                                      operand(node.b), operand(node.c)));
  }
  return values[at(function.result)];
}

}  // namespace

llvm::Value* emit_operation(Builder& builder, const Node& node, bool integers, llvm::Value* a, llvm::Value* b, llvm::Value* c) {
  switch (node.op) {
    case Op::add: return integers ? builder.CreateAdd(a, b) : builder.CreateFAdd(a, b);
    case Op::sub: return integers ? builder.CreateSub(a, b) : builder.CreateFSub(a, b);
    case Op::mul: return integers ? builder.CreateMul(a, b) : builder.CreateFMul(a, b);
    case Op::div: return builder.CreateFDiv(a, b);
    case Op::fma: return emit_fma(builder, a, b, c);
    case Op::sqrt: return builder.CreateIntrinsic(llvm::Intrinsic::sqrt, {a->getType()}, {a});
    case Op::neg: return builder.CreateFNeg(a);
    case Op::abs: return builder.CreateIntrinsic(llvm::Intrinsic::fabs, {a->getType()}, {a});
    case Op::max: return emit_larger(builder, a, b);
    case Op::min: return emit_smaller(builder, a, b);
    case Op::less: return integers ? builder.CreateICmpSLT(a, b) : builder.CreateFCmpOLT(a, b);
    case Op::less_equal: return integers ? builder.CreateICmpSLE(a, b) : builder.CreateFCmpOLE(a, b);
    case Op::equal: return integers ? builder.CreateICmpEQ(a, b) : builder.CreateFCmpOEQ(a, b);
    case Op::where: return builder.CreateSelect(a, b, c);
    case Op::both: return builder.CreateAnd(a, b);
    case Op::either: return builder.CreateOr(a, b);
    case Op::shift_left: return builder.CreateShl(a, b);
    case Op::shift_right: return builder.CreateAShr(a, b);
    case Op::bits: {
      llvm::Value* pattern = as_bits(builder, a);
      return builder.CreateSelect(builder.CreateFCmpUNO(a, a), int_constant(pattern->getType(), 0x7fffffff), pattern);
    }
    case Op::from_bits: return as_floats(builder, a);
    case Op::from_int: return builder.CreateSIToFP(a, vector_type(builder.getFloatTy(), width_of(a)));
    case Op::round:
      return node.dtype == DType::f32 ? a : widen(builder, narrow(builder, a, node.dtype), node.dtype);
    case Op::call: return emit_call(builder, functions()[at(node.function)], {a, b, c});
    default: throw InternalError("this operation is not one of numbers alone");
  }
}

bool RowValues::is_scalar(int node) const { return levels_[at(node)] <= Level::row; }

void RowValues::emit_before_passes(std::function<llvm::Value*(int tensor, llvm::Value* place)> read) {
  read_ = std::move(read);
  for (std::size_t index = 0; index < spec_.nodes.size(); ++index)
    if (spec_.nodes[index].op == Op::input && levels_[index] == Level::row)
      scalars_[index] = read_(spec_.nodes[index].tensor, builder_.getInt32(0));
  emit(Level::row, 0);
}

/// The element that a computed place names; NaN where the row has none.
llvm::Value* RowValues::element(const Node& node) {
  llvm::Value* nan = llvm::ConstantFP::getNaN(builder_.getFloatTy());
  if (spec_.n == 0) return nan;
  llvm::Value* place = scalars_[at(node.a)];
  llvm::Value* exists = builder_.CreateICmpULT(place, builder_.getInt32(static_cast<std::uint32_t>(spec_.n)));
  llvm::Value* value = read_(node.tensor, builder_.CreateSelect(exists, place, builder_.getInt32(0)));
  return builder_.CreateSelect(exists, value, nan);
}

void RowValues::emit(Level level, int passes) {
  for (std::size_t index = 0; index < spec_.nodes.size(); ++index) {
    const Node& node = spec_.nodes[index];
    if (levels_[index] != level || passes_[index] != passes || node.op == Op::input) continue;
    const auto operand = [&](int i) { return i < 0 ? nullptr : scalars_[at(i)]; };
    llvm::Value*& value = scalars_[index];
    if (node.op == Op::constant)
      value = float_constant(real(), node.value);
    else if (node.op == Op::integer)
      value = int_constant(builder_.getInt32Ty(), static_cast<std::uint32_t>(node.integer));
    else if (node.op == Op::element)
      value = element(node);
    else if (is_reduction(node.op))
      value = results_.at(static_cast<int>(index));
    else
      value = emit_operation(builder_, node, node.a >= 0 && type(node.a) == Type::i32, operand(node.a), operand(node.b),
                             operand(node.c));
    if (!node.name.empty() && !llvm::isa<llvm::Constant>(value)) value->setName(node.name);
  }
}

void RowValues::hoist(int width) {
  hoisted_.clear();
  for (std::size_t index = 0; index < spec_.nodes.size(); ++index) {
    if (is_scalar(static_cast<int>(index))) continue;
    const Node& node = spec_.nodes[index];
    for (int operand : {node.a, node.b, node.c})
      if (operand >= 0 && is_scalar(operand) && scalars_[at(operand)])
        hoisted_[{operand, width}] = splat(builder_, scalars_[at(operand)], width);
  }
}

llvm::Value* RowValues::vector(int node, int width) {
  const auto hoisted = hoisted_.find({node, width});
  return hoisted != hoisted_.end() ? hoisted->second : splat(builder_, scalars_[at(node)], width);
}

llvm::Value* Elements::value(int index) {
  if (row_.is_scalar(index)) return row_.vector(index, width_);
  llvm::Value*& value = values_[at(index)];
  if (!value) {
    value = emit(index);
    if (const std::string& name = row_.spec().nodes[at(index)].name; !name.empty()) value->setName(name);
  }
  return value;
}

llvm::Value* Elements::emit(int index) {
  const Node& node = row_.spec().nodes[at(index)];
  const auto operand = [&](int i) { return i < 0 ? nullptr : value(i); };
  if (node.op == Op::input) return load_(node.tensor);
  if (node.op == Op::index) return index_();
  if (node.op != Op::round)
    return emit_operation(row_.builder(), node, node.a >= 0 && row_.type(node.a) == Type::i32, operand(node.a), operand(node.b),
                          operand(node.c));
  if (node.dtype == DType::f32) return operand(node.a);
  bits_[at(index)] = narrow(row_.builder(), operand(node.a), node.dtype);
  return widen(row_.builder(), bits_[at(index)], node.dtype);
}

llvm::Value* Elements::stored(int index, DType dtype) {
  llvm::Value* floats = value(index);
  const Node& node = row_.spec().nodes[at(index)];
  const bool is_rounded = node.op == Op::round && node.dtype == dtype && bits_[at(index)];
  return is_rounded ? bits_[at(index)] : narrow(row_.builder(), floats, dtype);
}

}  // namespace isofold
