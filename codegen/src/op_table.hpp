#pragma once
#include <isofold/codegen/spec.hpp>

#include <array>
#include <string_view>

namespace isofold {

/// Name in Spec texts and number of operands of the operations that are written as calls.
struct OpInfo {
  Op op;
  std::string_view name;
  int operands;
};

inline constexpr std::array op_table{
    OpInfo{Op::add, "add", 2}, OpInfo{Op::mul, "mul", 2},   OpInfo{Op::fma, "fma", 3},
    OpInfo{Op::div, "div", 2}, OpInfo{Op::sqrt, "sqrt", 1}, OpInfo{Op::sum, "sum", 1},
};

constexpr const OpInfo& op_info(Op op) {
  for (const OpInfo& info : op_table)
    if (info.op == op) return info;
  return op_table[0];  // not reached: input, constant and round are not in the table
}

/// Operands of any operation, those that are not written as calls included.
constexpr int operand_count(Op op) {
  if (op == Op::input || op == Op::constant) return 0;
  return op == Op::round ? 1 : op_info(op).operands;
}

}  // namespace isofold
