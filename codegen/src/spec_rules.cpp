#include <isofold/codegen/functions.hpp>
#include <isofold/codegen/spec.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "op_table.hpp"

namespace isofold {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

/// What an operation does not accept: operands of other types, shifts by something that is no literal.
std::string broken_types(const Spec& spec, const std::vector<Type>& type, const Node& node) {
  const std::array operands{node.a, node.b, node.c};
  std::string given;
  for (int k = 0; k < operand_count(node); ++k) given += "fib"[static_cast<int>(type[at(operands[at(k)])])];
  const auto all_floats = [&] { return given.find_first_not_of('f') == std::string::npos; };
  if (node.op == Op::call && !all_floats())
    return fmt::format("{} takes floats", functions()[at(node.function)].name);
  if (node.op == Op::round && !all_floats()) return fmt::format("{} takes a float", name_of(node.dtype));
  if (node.op == Op::call || node.op == Op::round || node.op == Op::element || given.empty()) return {};
  if (!result_type(node.op, given))
    return fmt::format("{} does not take these types: of its operands, {}", op_info(node.op).name,
                       fmt::join([&] {
                         std::vector<std::string_view> names;
                         for (char c : given) names.push_back(c == 'f' ? "float" : c == 'i' ? "integer" : "truth value");
                         return names;
                       }(), ", "));
  if (node.op == Op::shift_left || node.op == Op::shift_right) {
    const Node& by = spec.nodes[at(node.b)];
    if (by.op != Op::integer || by.integer < 0 || by.integer > 31)
      return fmt::format("{} is by an integer literal from 0i to 31i", op_info(node.op).name);
  }
  return {};
}

/// What a Spec of f64 does not have.
std::string broken_wide_rule(const Spec& spec) {
  for (const Tensor& tensor : spec.inputs)
    if (tensor.dtype != DType::f64) return fmt::format("input '{}' is {}: a spec of f64 has f64 tensors alone", tensor.name, name_of(tensor.dtype));
  for (const Output& output : spec.outputs)
    if (output.dtype != DType::f64 || output.extent != Extent::token)
      return fmt::format("output '{}': a spec of f64 has one f64 number per token as outputs", output.name);
  if (passes(spec).size() != 1) return "a spec of f64 has reductions, none of which uses another";
  for (const Node& node : spec.nodes) {
    if (node.op == Op::round) return "a spec of f64 has no roundings";
    if (node.op == Op::call) return fmt::format("{} takes binary32, this spec is of f64", functions()[at(node.function)].name);
    if (node.op == Op::element) return "a spec of f64 has no single elements";
  }
  for (const Type type : types(spec))
    if (type == Type::i32) return "a spec of f64 has no integers";
  return {};
}

/// Of an input or output.
template <class TensorOrOutput>
std::string broken_groups(const Spec& spec, const TensorOrOutput& tensor) {
  if (tensor.groups == 1) return {};
  if (tensor.groups < 1 || tensor.groups > max_groups) return fmt::format("{} rows in a group, allowed are 1 to {}", tensor.groups, max_groups);
  if (tensor.extent != Extent::row && tensor.extent != Extent::column) return "only rows and columns have groups";
  if (tensor.groups != groups(spec)) return fmt::format("{} rows in a group, elsewhere there are {}", tensor.groups, groups(spec));
  return {};
}

/// What everything else takes for granted: operands, tensors and outputs that exist, types that fit, inner expressions that
/// are used once and are not nested too deep.
std::string broken_structure(const Spec& spec) {
  if (spec.n < 0 || spec.n > max_row_length) return fmt::format("N is {}, allowed is 0 to {}", spec.n, max_row_length);
  if (spec.nodes.size() > max_spec_text) return fmt::format("a spec has at most {} values", max_spec_text);
  for (const Tensor& tensor : spec.inputs) {
    if (tensor.dtype == DType::i32 && tensor.extent != Extent::token && tensor.extent != Extent::scalar)
      return fmt::format("input '{}': i32 is for one number per token, [token], or one in all, [scalar]", tensor.name);
    if (std::string rule = broken_groups(spec, tensor); !rule.empty()) return fmt::format("input '{}': {}", tensor.name, rule);
  }
  std::vector<bool> used(spec.nodes.size(), false);
  std::vector<int> depth(spec.nodes.size(), 0);
  for (int i = 0; i < static_cast<int>(spec.nodes.size()); ++i) {
    const Node& node = spec.nodes[at(i)];
    if ((node.op == Op::input || node.op == Op::element) && (node.tensor < 0 || at(node.tensor) >= spec.inputs.size()))
      return fmt::format("value {} reads tensor {}, which does not exist", i, node.tensor);
    if (node.op == Op::parameter) return fmt::format("value {} is a function's parameter", i);
    if (node.op == Op::call && (node.function < 0 || at(node.function) >= functions().size()))
      return fmt::format("value {} calls function {}, which does not exist", i, node.function);
    if (node.op == Op::round && node.dtype != DType::f32 && node.dtype != DType::bf16 && node.dtype != DType::f16)
      return fmt::format("values are not rounded to {}", name_of(node.dtype));
    const std::array operands{node.a, node.b, node.c};
    for (int k = 0; k < operand_count(node); ++k) {
      const int operand = operands[at(k)];
      if (operand < 0 || operand >= i) return fmt::format("operand {} of value {} is not an earlier value", k, i);
      const Node& value = spec.nodes[at(operand)];
      if (used[at(operand)] && value.name.empty() && operand_count(value) > 0)
        return fmt::format("value {} is used twice and has no name", operand);
      used[at(operand)] = true;
      depth[at(i)] = std::max(depth[at(i)], value.name.empty() ? depth[at(operand)] + 1 : 0);
    }
    if (depth[at(i)] > max_expression_depth)
      return fmt::format("an expression is nested at most {} deep", max_expression_depth);
  }
  const auto type = types(spec);
  const auto level = levels(spec);
  for (const Node& node : spec.nodes)
    if (node.op == Op::element && (spec.inputs[at(node.tensor)].extent != Extent::row || type[at(node.a)] != Type::i32 ||
                                   level[at(node.a)] == Level::column || level[at(node.a)] == Level::element))
      return "at takes an input of extent row and an integer that is the same along the row";
  for (const Node& node : spec.nodes)
    if (std::string rule = broken_types(spec, type, node); !rule.empty()) return rule;
  for (const Output& output : spec.outputs) {
    if (std::string rule = broken_groups(spec, output); !rule.empty()) return fmt::format("output '{}': {}", output.name, rule);
    if (output.value < 0 || at(output.value) >= spec.nodes.size())
      return fmt::format("output '{}' has no value", output.name);
    if (output.dtype == DType::f64 && !is_wide(spec)) return fmt::format("output '{}': f64 takes f64 inputs", output.name);
    if (output.dtype == DType::i32) return fmt::format("output '{}': i32 is a dtype of inputs", output.name);
    if (type[at(output.value)] != Type::f32) return fmt::format("output '{}' is not a float", output.name);
  }
  return {};
}

}  // namespace

std::string broken_rule(const Spec& spec) {
  if (std::string rule = broken_structure(spec); !rule.empty()) return rule;
  if (spec.outputs.empty()) return "a spec needs an output, `name: dtype = expression`";
  if (is_wide(spec))
    if (std::string rule = broken_wide_rule(spec); !rule.empty()) return rule;
  const auto level = levels(spec);
  for (const int node : reductions(spec))
    if (level[at(spec.nodes[at(node)].a)] != Level::element)
      return fmt::format("{} needs a value of the row, other in every token and along the row", op_info(spec.nodes[at(node)].op).name);
  const auto count = static_cast<int>(reductions(spec).size());
  if (count > max_reductions) return fmt::format("a spec has at most {} reductions, this one has {}", max_reductions, count);
  if (static_cast<int>(passes(spec).size()) > max_passes)
    return fmt::format("reductions that use each other form at most {} passes, these form {}", max_passes, passes(spec).size());
  std::vector<bool> used(spec.nodes.size(), false);
  for (const Output& output : spec.outputs) {
    const Level of = level[at(output.value)];
    if (of != Level::element && of != Level::row)
      return fmt::format("output '{}' is the same for all tokens", output.name);
    if (output.extent != (of == Level::row ? Extent::token : Extent::row))
      return fmt::format("output '{}' has another extent than its value", output.name);
    const auto needed = needed_by(spec, output.value);
    for (std::size_t i = 0; i < used.size(); ++i) {
      used[i] = used[i] || needed[i];
      const bool extreme = spec.nodes[i].op == Op::reduce_max || spec.nodes[i].op == Op::reduce_min;
      if (spec.n == 0 && output.extent == Extent::token && needed[i] && extreme)
        return fmt::format("output '{}' needs {} of a row without elements, which has none", output.name, op_info(spec.nodes[i].op).name);
    }
  }
  for (std::size_t i = used.size(); i-- > 0;)  // the last one is a statement, which has a name
    if (!used[i]) return fmt::format("'{}' is computed and not used by any output", spec.nodes[i].name);
  bool row_input = false;
  for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
    row_input = row_input || spec.inputs[i].extent == Extent::row;
    if (std::none_of(spec.nodes.begin(), spec.nodes.end(),
                     [&](const Node& n) { return (n.op == Op::input || n.op == Op::element) && n.tensor == static_cast<int>(i); }))
      return fmt::format("input '{}' is not used", spec.inputs[i].name);
  }
  if (!row_input) return "a spec needs an input of extent row";
  if (spec.inputs.front().extent == Extent::token || spec.inputs.front().extent == Extent::scalar)
    return "the first input has extent row or column";
  return {};
}

}  // namespace isofold
