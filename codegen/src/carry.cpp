#include "carry.hpp"

#include <algorithm>
#include <functional>

namespace isofold {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

Carried carried(const Spec& spec, int index, int pass) {
  const Node& node = spec.nodes[at(index)];
  DType dtype = DType::f32;
  if (node.op == Op::input) dtype = spec.inputs[at(node.tensor)].dtype;
  if (node.op == Op::round) dtype = node.dtype;
  return {index, dtype, pass};
}

/// Is it better to keep the tensors' elements that a value is made from than the value? When they are fewer bytes, and it
/// takes no function to make it from them again.
bool is_cheaper_from_inputs(const Spec& spec, const std::vector<Level>& level, int index) {
  const auto needed = needed_by(spec, index);
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < spec.nodes.size(); ++i) {
    const Node& node = spec.nodes[i];
    if (!needed[i] || level[i] != Level::element) continue;
    if (node.op == Op::call) return false;
    if (node.op == Op::input) bytes += size_of(spec.inputs[at(node.tensor)].dtype);
  }
  return spec.nodes[at(index)].op != Op::input && bytes < size_of(carried(spec, index, 0).dtype);
}

}  // namespace

std::vector<int> taken_by(const Spec& spec, int reduction) {
  const Node& node = spec.nodes[at(reduction)];
  const Node& operand = spec.nodes[at(node.a)];
  if (node.op == Op::sum && operand.op == Op::mul) return {operand.a, operand.b};
  return {node.a};
}

std::vector<bool> needed_along_row(const Spec& spec, int root) {
  const auto level = levels(spec);
  std::vector<bool> out(spec.nodes.size(), false);
  out[at(root)] = true;
  for (int i = root; i >= 0; --i) {
    const Node& node = spec.nodes[at(i)];
    if (!out[at(i)] || (i != root && level[at(i)] <= Level::row)) continue;
    for (int operand : {node.a, node.b, node.c})
      if (operand >= 0) out[at(operand)] = true;
  }
  return out;
}

std::vector<Carried> carried_values(const Spec& spec) {
  const auto level = levels(spec);
  const auto type = types(spec);
  const auto before = passes_before(spec);
  std::vector<bool> kept(spec.nodes.size(), false), seen(spec.nodes.size(), false);
  const std::function<void(int)> take = [&](int operand) {
    if (operand < 0 || seen[at(operand)] || before[at(operand)] != 0 || level[at(operand)] != Level::element) return;
    seen[at(operand)] = true;
    if (type[at(operand)] == Type::f32 && !is_cheaper_from_inputs(spec, level, operand)) {
      kept[at(operand)] = true;
      return;
    }
    const Node& node = spec.nodes[at(operand)];
    for (int inner : {node.a, node.b, node.c}) take(inner);
  };
  // What comes after the first pass takes the values of before it that it uses directly.
  const auto take_for = [&](int root) {
    const auto needed = needed_by(spec, root);
    for (std::size_t i = 0; i < spec.nodes.size(); ++i) {
      if (!needed[i] || before[i] == 0 || level[i] != Level::element) continue;
      for (int operand : {spec.nodes[i].a, spec.nodes[i].b, spec.nodes[i].c}) take(operand);
    }
  };
  for (const Output& output : spec.outputs)
    if (before[at(output.value)] > 0) take_for(output.value);
  const auto by_pass = passes(spec);
  for (std::size_t pass = 1; pass < by_pass.size(); ++pass)
    for (const int reduction : by_pass[pass]) {
      take_for(reduction);
      for (const int operand : taken_by(spec, reduction)) take(operand);
    }
  std::vector<Carried> out;
  for (std::size_t i = 0; i < spec.nodes.size(); ++i)
    if (kept[i]) out.push_back(carried(spec, static_cast<int>(i), 0));
  return out;
}

std::vector<Carried> kept_calls(const Spec& spec) {
  const auto level = levels(spec);
  const auto before = passes_before(spec);
  const auto by_pass = passes(spec);
  std::vector<Carried> out;
  for (int index = 0; index < static_cast<int>(spec.nodes.size()); ++index) {
    const int pass = before[at(index)];
    if (spec.nodes[at(index)].op != Op::call || pass == 0 || level[at(index)] != Level::element) continue;
    // Needed in the pass whose reductions come next, and again after it.
    const auto is_needed_by = [&](int root) -> bool { return needed_by(spec, root)[at(index)]; };
    if (at(pass) >= by_pass.size() || std::none_of(by_pass[at(pass)].begin(), by_pass[at(pass)].end(), is_needed_by)) continue;
    bool again = false;
    const auto needs_element = [&](int root) { return level[at(root)] == Level::element && needed_along_row(spec, root)[at(index)]; };
    for (const Output& output : spec.outputs) again = again || needs_element(output.value);
    for (std::size_t later = at(pass) + 1; later < by_pass.size(); ++later)
      for (const int reduction : by_pass[later]) again = again || needs_element(spec.nodes[at(reduction)].a);
    if (again) out.push_back(carried(spec, index, pass));
  }
  return out;
}

bool keeps_more_than_it_carries(const Spec& spec, const Fold& fold) {
  int more = 0;
  for (const Carried& value : kept_calls(spec)) more += words_per_leaf(value.dtype, fold);
  for (const Carried& value : carried_values(spec)) more -= words_per_leaf(value.dtype, fold);
  return more > 0;
}

std::vector<bool> read_by_first_pass(const Spec& spec) {
  std::vector<bool> read(spec.inputs.size(), false);
  const auto by_pass = passes(spec);
  if (by_pass.empty()) return read;
  for (const int reduction : by_pass.front()) {
    const auto needed = needed_by(spec, reduction);
    for (std::size_t i = 0; i < needed.size(); ++i)
      if (const Node& node = spec.nodes[i]; needed[i] && node.op == Op::input) read[at(node.tensor)] = true;
  }
  return read;
}

int words_per_leaf(DType dtype, const Fold& fold) {
  return std::max(1, fold.leaf * static_cast<int>(size_of(dtype)) / 4);
}

}  // namespace isofold
