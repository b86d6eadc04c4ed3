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
  if (node.op == Op::call || node.op == Op::round || given.empty()) return {};
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

/// What everything else takes for granted: operands, tensors and outputs that exist, types that fit, inner expressions that
/// are used once and are not nested too deep.
std::string broken_structure(const Spec& spec) {
  if (spec.n < 1 || spec.n > max_row_length) return fmt::format("N is {}, allowed is 1 to {}", spec.n, max_row_length);
  if (spec.nodes.size() > max_spec_text) return fmt::format("a spec has at most {} values", max_spec_text);
  for (const Tensor& tensor : spec.inputs) {
    if (tensor.dtype == DType::i32 && tensor.extent != Extent::token)
      return fmt::format("input '{}': i32 is for one number per token, [token]", tensor.name);
    if (size_of(tensor.dtype) == 1) return fmt::format("input '{}': {} is a dtype of outputs", tensor.name, name_of(tensor.dtype));
  }
  std::vector<bool> used(spec.nodes.size(), false);
  std::vector<int> depth(spec.nodes.size(), 0);
  for (int i = 0; i < static_cast<int>(spec.nodes.size()); ++i) {
    const Node& node = spec.nodes[at(i)];
    if (node.op == Op::input && (node.tensor < 0 || at(node.tensor) >= spec.inputs.size()))
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
  for (const Node& node : spec.nodes)
    if (std::string rule = broken_types(spec, type, node); !rule.empty()) return rule;
  for (const Output& output : spec.outputs) {
    if (output.value < 0 || at(output.value) >= spec.nodes.size())
      return fmt::format("output '{}' has no value", output.name);
    if (output.dtype == DType::i32) return fmt::format("output '{}': i32 is a dtype of inputs", output.name);
    if (type[at(output.value)] != Type::f32) return fmt::format("output '{}' is not a float", output.name);
  }
  return {};
}

}  // namespace

std::string broken_rule(const Spec& spec) {
  if (std::string rule = broken_structure(spec); !rule.empty()) return rule;
  if (spec.outputs.empty()) return "a spec needs an output, `name: dtype = expression`";
  const auto level = levels(spec);
  for (const int node : reductions(spec))
    if (level[at(spec.nodes[at(node)].a)] != Level::element)
      return fmt::format("{} needs a value that varies along the row", op_info(spec.nodes[at(node)].op).name);
  const auto count = static_cast<int>(reductions(spec).size());
  if (count < 1 || count > max_reductions)
    return fmt::format("a spec has 1 to {} reductions, this one has {}", max_reductions, count);
  if (static_cast<int>(passes(spec).size()) > max_passes)
    return fmt::format("reductions that use each other form at most {} passes, these form {}", max_passes, passes(spec).size());
  std::vector<bool> used(spec.nodes.size(), false);
  for (const Output& output : spec.outputs) {
    const Level of = level[at(output.value)];
    if (of != Level::element && of != Level::row)
      return fmt::format("output '{}' is the same for all tokens", output.name);
    if ((of == Level::row) != (output.extent == Extent::token) || output.extent == Extent::column)
      return fmt::format("output '{}' has another extent than its value", output.name);
    const auto needed = needed_by(spec, output.value);
    for (std::size_t i = 0; i < used.size(); ++i) used[i] = used[i] || needed[i];
  }
  for (std::size_t i = 0; i < used.size(); ++i)
    if (!used[i]) return fmt::format("'{}' is computed and not used by any output", spec.nodes[i].name);
  bool row_input = false;
  for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
    row_input = row_input || spec.inputs[i].extent == Extent::row;
    if (std::none_of(spec.nodes.begin(), spec.nodes.end(),
                     [&](const Node& n) { return n.op == Op::input && n.tensor == static_cast<int>(i); }))
      return fmt::format("input '{}' is not used", spec.inputs[i].name);
  }
  if (!row_input) return "a spec needs an input of extent row";
  if (spec.inputs.front().extent == Extent::token) return "the first input has extent row or column";
  return {};
}

}  // namespace isofold
