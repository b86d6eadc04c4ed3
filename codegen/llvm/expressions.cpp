#include "expressions.hpp"

#include <isofold/error.hpp>

#include "conversions.hpp"

namespace isofold {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

}  // namespace

llvm::Value* emit_fma(Builder& builder, llvm::Value* a, llvm::Value* b, llvm::Value* c) {
  return builder.CreateIntrinsic(llvm::Intrinsic::fma, {a->getType()}, {a, b, c});
}

llvm::Value* emit_operation(Builder& builder, Op op, llvm::Value* a, llvm::Value* b, llvm::Value* c) {
  switch (op) {
    case Op::add:
      return builder.CreateFAdd(a, b);
    case Op::mul:
      return builder.CreateFMul(a, b);
    case Op::div:
      return builder.CreateFDiv(a, b);
    case Op::fma:
      return emit_fma(builder, a, b, c);
    case Op::sqrt:
      return builder.CreateIntrinsic(llvm::Intrinsic::sqrt, {a->getType()}, {a});
    default:
      throw InternalError("this operation is not arithmetic");
  }
}

bool RowValues::is_scalar(int node) const { return levels_[at(node)] <= Level::row; }

void RowValues::emit(Level level, int passes) {
  for (std::size_t index = 0; index < spec_.nodes.size(); ++index) {
    if (levels_[index] != level || passes_[index] != passes) continue;
    const Node& node = spec_.nodes[index];
    const auto operand = [&](int i) { return i < 0 ? nullptr : scalars_[at(i)]; };
    llvm::Value*& value = scalars_[index];
    if (node.op == Op::constant)
      value = float_constant(builder_.getFloatTy(), node.value);
    else if (node.op == Op::sum)
      value = sum_;
    else if (node.op == Op::round)
      value = widen(builder_, narrow(builder_, operand(node.a), node.dtype), node.dtype);
    else
      value = emit_operation(builder_, node.op, operand(node.a), operand(node.b), operand(node.c));
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
  if (node.op != Op::round)
    return emit_operation(row_.builder(), node.op, operand(node.a), operand(node.b), operand(node.c));
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
