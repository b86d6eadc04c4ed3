#pragma once
#include <isofold/codegen/spec.hpp>
#include <isofold/error.hpp>

#include <array>
#include <optional>
#include <string_view>

namespace isofold {

/// An operation that is written as a call: its name in Spec texts, its number of operands, and the types that it takes and
/// gives. A form is the operands' types and then the result's: f (binary32), i (32-bit integer), b (true or false).
struct OpInfo {
  Op op;
  std::string_view name;
  int operands;
  std::array<std::string_view, 3> forms;
};

inline constexpr std::array op_table{
    OpInfo{Op::add, "add", 2, {"fff", "iii"}},
    OpInfo{Op::sub, "sub", 2, {"fff", "iii"}},
    OpInfo{Op::mul, "mul", 2, {"fff", "iii"}},
    OpInfo{Op::fma, "fma", 3, {"ffff"}},
    OpInfo{Op::div, "div", 2, {"fff"}},
    OpInfo{Op::sqrt, "sqrt", 1, {"ff"}},
    OpInfo{Op::neg, "neg", 1, {"ff"}},
    OpInfo{Op::abs, "abs", 1, {"ff"}},
    OpInfo{Op::max, "max", 2, {"fff"}},
    OpInfo{Op::min, "min", 2, {"fff"}},
    OpInfo{Op::less, "less", 2, {"ffb", "iib"}},
    OpInfo{Op::less_equal, "less_equal", 2, {"ffb", "iib"}},
    OpInfo{Op::equal, "equal", 2, {"ffb", "iib"}},
    OpInfo{Op::where, "where", 3, {"bfff", "biii"}},
    OpInfo{Op::both, "and", 2, {"bbb", "iii"}},
    OpInfo{Op::either, "or", 2, {"bbb", "iii"}},
    OpInfo{Op::shift_left, "shift_left", 2, {"iii"}},
    OpInfo{Op::shift_right, "shift_right", 2, {"iii"}},
    OpInfo{Op::bits, "bits", 1, {"fi"}},
    OpInfo{Op::from_bits, "from_bits", 1, {"if"}},
    OpInfo{Op::from_int, "from_int", 1, {"if"}},
    OpInfo{Op::sum, "sum", 1, {"ff"}},
    OpInfo{Op::reduce_max, "reduce_max", 1, {"ff"}},
    OpInfo{Op::reduce_min, "reduce_min", 1, {"ff"}},
};

constexpr const OpInfo& op_info(Op op) {
  for (const OpInfo& info : op_table)
    if (info.op == op) return info;
  throw InternalError("an operation that is not written as a call was looked for in their table");
}

/// Type of the operation's result for operands of these types, a letter each; nothing when it does not take them.
std::optional<Type> result_type(Op op, std::string_view operands);

}  // namespace isofold
