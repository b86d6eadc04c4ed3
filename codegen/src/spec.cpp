#include <isofold/codegen/spec.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "op_table.hpp"

namespace isofold {

bool Node::operator==(const Node& other) const {
  return op == other.op && a == other.a && b == other.b && c == other.c && dtype == other.dtype &&
         tensor == other.tensor && name == other.name &&
         std::bit_cast<std::uint32_t>(value) == std::bit_cast<std::uint32_t>(other.value);
}

namespace {

/// Prints node `index` as an expression; named nodes are printed by name unless they are being defined.
std::string expression(const Spec& spec, int index, bool defining) {
  const Node& node = spec.nodes[static_cast<std::size_t>(index)];
  if (!defining && !node.name.empty()) return node.name;
  switch (node.op) {
    case Op::input:
      return spec.inputs[static_cast<std::size_t>(node.tensor)].name;
    case Op::constant:
      return fmt::format("{}", node.value);
    case Op::round:
      return fmt::format("{}({})", name_of(node.dtype), expression(spec, node.a, false));
    default:
      break;
  }
  std::string out = fmt::format("{}(", op_info(node.op).name);
  const std::array operands{node.a, node.b, node.c};
  for (int i = 0; i < op_info(node.op).operands; ++i)
    out += (i ? ", " : "") + expression(spec, operands[static_cast<std::size_t>(i)], false);
  return out + ")";
}

}  // namespace

std::string text(const Spec& spec) {
  std::string out = fmt::format("{} N={} (", spec.op, spec.n);
  for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
    const Tensor& tensor = spec.inputs[i];
    out += fmt::format("{}{}: {}[{}]", i ? ", " : "", tensor.name, name_of(tensor.dtype),
                       tensor.extent == Extent::row ? "row" : "column");
  }
  out += ") {";
  const char* separator = " ";
  for (std::size_t i = 0; i < spec.nodes.size(); ++i) {
    if (spec.nodes[i].name.empty() || spec.nodes[i].op == Op::input) continue;
    out += fmt::format("{}{} = {}", separator, spec.nodes[i].name, expression(spec, static_cast<int>(i), true));
    separator = "; ";
  }
  for (const Output& output : spec.outputs) {
    out += fmt::format("{}{}: {} = {}", separator, output.name, name_of(output.dtype),
                       expression(spec, output.value, false));
    separator = "; ";
  }
  return out + " }";
}

std::vector<Level> levels(const Spec& spec) {
  std::vector<Level> out;
  for (const Node& node : spec.nodes) {
    Level level = Level::constant;
    if (node.op == Op::input) {
      const bool column = spec.inputs[static_cast<std::size_t>(node.tensor)].extent == Extent::column;
      level = column ? Level::column : Level::element;
    } else if (node.op == Op::sum) {
      level = Level::row;
    } else {
      bool row = false, column = false;
      for (int operand : {node.a, node.b, node.c}) {
        if (operand < 0) continue;
        const Level of = out[static_cast<std::size_t>(operand)];
        row |= of == Level::row;
        column |= of == Level::column;
        level = std::max(level, of);
      }
      if (row && column) level = Level::element;
    }
    out.push_back(level);
  }
  return out;
}

std::vector<int> sum_nodes(const Spec& spec) {
  std::vector<int> out;
  for (std::size_t i = 0; i < spec.nodes.size(); ++i)
    if (spec.nodes[i].op == Op::sum) out.push_back(static_cast<int>(i));
  return out;
}

Spec with_sums_shown(const Spec& spec) {
  Spec shown = spec;
  const auto free_name = [&](std::string name) {
    const auto is = [&](const auto& named) { return named.name == name; };
    while (std::any_of(shown.nodes.begin(), shown.nodes.end(), is) || std::any_of(spec.inputs.begin(), spec.inputs.end(), is) ||
           std::any_of(shown.outputs.begin(), shown.outputs.end(), is))
      name += "_";
    return name;
  };
  int row = 0;  // any value that varies along the row
  const auto level = levels(spec);
  while (spec.nodes[static_cast<std::size_t>(row)].op != Op::input || level[static_cast<std::size_t>(row)] != Level::element) ++row;
  for (const int sum : sum_nodes(spec)) {
    if (shown.nodes[static_cast<std::size_t>(sum)].name.empty())
      shown.nodes[static_cast<std::size_t>(sum)].name = free_name("shown_total");
    shown.nodes.push_back({.op = Op::constant, .value = 0});
    const int zero = static_cast<int>(shown.nodes.size()) - 1;
    shown.nodes.push_back({.op = Op::fma, .a = row, .b = zero, .c = sum});
    shown.outputs.push_back({free_name("shown_sum"), DType::f32, zero + 1});
  }
  return shown;
}

std::vector<int> passes_before(const Spec& spec) {
  std::vector<int> out;
  int sums = 0;
  for (const Node& node : spec.nodes) {
    int passes = node.op == Op::sum ? ++sums : 0;
    for (int operand : {node.a, node.b, node.c})
      if (operand >= 0) passes = std::max(passes, out[static_cast<std::size_t>(operand)]);
    out.push_back(passes);
  }
  return out;
}

std::vector<bool> needed_by(const Spec& spec, int root) {
  std::vector<bool> out(spec.nodes.size(), false);
  out[static_cast<std::size_t>(root)] = true;
  for (int i = root; i >= 0; --i) {
    if (!out[static_cast<std::size_t>(i)]) continue;
    const Node& node = spec.nodes[static_cast<std::size_t>(i)];
    for (int operand : {node.a, node.b, node.c})
      if (operand >= 0) out[static_cast<std::size_t>(operand)] = true;
  }
  return out;
}

}  // namespace isofold
