#include <isofold/codegen/spec.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "op_table.hpp"

namespace isofold {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

/// What everything else takes for granted: operands, tensors and outputs that exist, inner expressions that are used once
/// and are not nested too deep.
std::string broken_structure(const Spec& spec) {
  if (spec.n < 1 || spec.n > max_row_length) return fmt::format("N is {}, allowed is 1 to {}", spec.n, max_row_length);
  if (spec.nodes.size() > max_spec_text) return fmt::format("a spec has at most {} values", max_spec_text);
  std::vector<bool> used(spec.nodes.size(), false);
  std::vector<int> depth(spec.nodes.size(), 0);
  for (int i = 0; i < static_cast<int>(spec.nodes.size()); ++i) {
    const Node& node = spec.nodes[at(i)];
    if (node.op == Op::input && (node.tensor < 0 || at(node.tensor) >= spec.inputs.size()))
      return fmt::format("value {} reads tensor {}, which does not exist", i, node.tensor);
    const std::array operands{node.a, node.b, node.c};
    for (int k = 0; k < operand_count(node.op); ++k) {
      const int operand = operands[at(k)];
      if (operand < 0 || operand >= i) return fmt::format("operand {} of value {} is not an earlier value", k, i);
      const Node& value = spec.nodes[at(operand)];
      if (used[at(operand)] && value.name.empty() && operand_count(value.op) > 0)
        return fmt::format("value {} is used twice and has no name", operand);
      used[at(operand)] = true;
      depth[at(i)] = std::max(depth[at(i)], value.name.empty() ? depth[at(operand)] + 1 : 0);
    }
    if (depth[at(i)] > max_expression_depth)
      return fmt::format("an expression is nested at most {} deep", max_expression_depth);
  }
  for (const Output& output : spec.outputs)
    if (output.value < 0 || at(output.value) >= spec.nodes.size())
      return fmt::format("output '{}' has no value", output.name);
  return {};
}

}  // namespace

std::string broken_rule(const Spec& spec) {
  if (std::string rule = broken_structure(spec); !rule.empty()) return rule;
  if (spec.outputs.empty()) return "a spec needs an output, `name: dtype = expression`";
  const auto level = levels(spec);
  int sums = 0;
  for (const Node& node : spec.nodes) {
    if (node.op != Op::sum) continue;
    ++sums;
    if (level[at(node.a)] != Level::element) return "sum needs a value that varies along the row";
  }
  if (sums < 1 || sums > max_sums) return fmt::format("a spec has 1 to {} sums, this one has {}", max_sums, sums);
  std::vector<bool> used(spec.nodes.size(), false);
  for (const Output& output : spec.outputs) {
    if (level[at(output.value)] != Level::element)
      return fmt::format("output '{}' does not vary along the row", output.name);
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
  return {};
}

}  // namespace isofold
