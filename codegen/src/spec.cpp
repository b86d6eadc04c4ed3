#include <isofold/codegen/functions.hpp>
#include <isofold/codegen/spec.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "op_table.hpp"

namespace isofold {

bool Node::operator==(const Node& other) const {
  return op == other.op && a == other.a && b == other.b && c == other.c && dtype == other.dtype &&
         tensor == other.tensor && integer == other.integer && function == other.function && name == other.name &&
         std::bit_cast<std::uint64_t>(value) == std::bit_cast<std::uint64_t>(other.value);
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
      return is_wide(spec) ? fmt::format("{}", node.value) : fmt::format("{}", static_cast<float>(node.value));
    case Op::integer:
      return fmt::format("{}i", node.integer);
    case Op::index:
      return "index";
    case Op::element:
      return fmt::format("at({}, {})", spec.inputs[static_cast<std::size_t>(node.tensor)].name, expression(spec, node.a, false));
    case Op::round:
      return fmt::format("{}({})", name_of(node.dtype), expression(spec, node.a, false));
    default:
      break;
  }
  const std::string_view name = node.op == Op::call ? std::string_view(functions()[static_cast<std::size_t>(node.function)].name)
                                                    : op_info(node.op).name;
  std::string out = fmt::format("{}(", name);
  const std::array operands{node.a, node.b, node.c};
  for (int i = 0; i < operand_count(node); ++i)
    out += (i ? ", " : "") + expression(spec, operands[static_cast<std::size_t>(i)], false);
  return out + ")";
}

char letter_of(Type type) { return type == Type::f32 ? 'f' : type == Type::i32 ? 'i' : 'b'; }

bool is_listed(Op op) {
  return std::any_of(op_table.begin(), op_table.end(), [&](const OpInfo& info) { return info.op == op; });
}

}  // namespace

std::optional<Type> result_type(Op op, std::string_view operands) {
  for (const std::string_view form : op_info(op).forms) {
    if (form.empty() || form.substr(0, form.size() - 1) != operands) continue;
    return form.back() == 'f' ? Type::f32 : form.back() == 'i' ? Type::i32 : Type::boolean;
  }
  return std::nullopt;
}

std::string_view name_of(Extent extent) {
  constexpr std::string_view names[] = {"row", "column", "token", "scalar"};
  return names[static_cast<std::size_t>(extent)];
}

int operand_count(const Node& node) {
  switch (node.op) {
    case Op::input:
    case Op::constant:
    case Op::integer:
    case Op::index:
    case Op::parameter:
      return 0;
    case Op::element:
    case Op::round:
      return 1;
    case Op::call:
      return static_cast<int>(functions()[static_cast<std::size_t>(node.function)].parameters.size());
    default:
      return op_info(node.op).operands;
  }
}

std::string text(const Spec& spec) {
  std::string out = fmt::format("{} N={} (", spec.op, spec.n);
  for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
    const Tensor& tensor = spec.inputs[i];
    out += fmt::format("{}{}: {}[{}{}]", i ? ", " : "", tensor.name, name_of(tensor.dtype), name_of(tensor.extent),
                       tensor.groups == 1 ? "" : fmt::format(" {}", tensor.groups));
  }
  out += ") {";
  const char* separator = " ";
  for (std::size_t i = 0; i < spec.nodes.size(); ++i) {
    if (spec.nodes[i].name.empty() || spec.nodes[i].op == Op::input) continue;
    out += fmt::format("{}{} = {}", separator, spec.nodes[i].name, expression(spec, static_cast<int>(i), true));
    separator = "; ";
  }
  for (const Output& output : spec.outputs) {
    out += fmt::format("{}{}: {}{} = {}", separator, output.name, name_of(output.dtype),
                       output.groups == 1 ? "" : fmt::format("[row {}]", output.groups), expression(spec, output.value, false));
    separator = "; ";
  }
  return out + " }";
}

std::vector<Level> levels(const Spec& spec) {
  std::vector<Level> out;
  for (const Node& node : spec.nodes) {
    Level level = Level::constant;
    if (node.op == Op::input) {
      const Extent extent = spec.inputs[static_cast<std::size_t>(node.tensor)].extent;
      level = extent == Extent::row ? Level::element : extent == Extent::column ? Level::column : Level::row;
    } else if (node.op == Op::index) {
      level = Level::column;
    } else if (is_reduction(node.op) || node.op == Op::element) {
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

std::vector<Type> types(const Spec& spec) {
  std::vector<Type> out;
  for (const Node& node : spec.nodes) {
    Type type = Type::f32;
    if (node.op == Op::integer || node.op == Op::index) type = Type::i32;
    if (node.op == Op::input && spec.inputs[static_cast<std::size_t>(node.tensor)].dtype == DType::i32) type = Type::i32;
    if (is_listed(node.op)) {
      std::string operands;
      for (int operand : {node.a, node.b, node.c})
        if (operand >= 0) operands += letter_of(out[static_cast<std::size_t>(operand)]);
      type = result_type(node.op, operands).value_or(Type::f32);
    }
    out.push_back(type);
  }
  return out;
}

std::vector<int> reductions(const Spec& spec) {
  std::vector<int> out;
  for (std::size_t i = 0; i < spec.nodes.size(); ++i)
    if (is_reduction(spec.nodes[i].op)) out.push_back(static_cast<int>(i));
  return out;
}

std::vector<int> passes_before(const Spec& spec) {
  std::vector<int> out;
  for (const Node& node : spec.nodes) {
    int before = 0;
    for (int operand : {node.a, node.b, node.c})
      if (operand >= 0) before = std::max(before, out[static_cast<std::size_t>(operand)]);
    out.push_back(before + (is_reduction(node.op) ? 1 : 0));
  }
  return out;
}

std::vector<std::vector<int>> passes(const Spec& spec) {
  const auto before = passes_before(spec);
  std::vector<std::vector<int>> out;
  for (const int node : reductions(spec)) {
    const auto pass = static_cast<std::size_t>(before[static_cast<std::size_t>(node)]);
    if (out.size() < pass) out.resize(pass);
    out[pass - 1].push_back(node);
  }
  return out;
}

Spec with_reductions_shown(const Spec& spec) {
  Spec shown = spec;
  const DType dtype = is_wide(spec) ? DType::f64 : DType::f32;
  const auto free_name = [&](std::string name) {
    const auto is = [&](const auto& named) { return named.name == name; };
    while (std::any_of(shown.nodes.begin(), shown.nodes.end(), is) || std::any_of(spec.inputs.begin(), spec.inputs.end(), is) ||
           std::any_of(shown.outputs.begin(), shown.outputs.end(), is))
      name += "_";
    return name;
  };
  if (spec.n == 0) return spec;
  for (const int node : reductions(spec)) {
    if (shown.inputs.size() + shown.outputs.size() >= max_tensors) break;
    if (shown.nodes[static_cast<std::size_t>(node)].name.empty())
      shown.nodes[static_cast<std::size_t>(node)].name = free_name("shown_result");
    shown.outputs.push_back({free_name("shown"), dtype, node, Extent::token});
  }
  return shown;
}

bool is_wide(const Spec& spec) {
  return std::any_of(spec.inputs.begin(), spec.inputs.end(), [](const Tensor& tensor) { return tensor.dtype == DType::f64; });
}

int groups(const Spec& spec) {
  for (const Tensor& tensor : spec.inputs)
    if (tensor.groups > 1) return tensor.groups;
  for (const Output& output : spec.outputs)
    if (output.groups > 1) return output.groups;
  return 1;
}

std::vector<int> gathered_inputs(const Spec& spec) {
  std::vector<int> out;
  for (const Node& node : spec.nodes)
    if (node.op == Op::element) out.push_back(node.tensor);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
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
