#include "carry.hpp"

#include <algorithm>

namespace isofold {

std::vector<Carried> carried_values(const Spec& spec) {
  const auto level = levels(spec);
  const auto passes = passes_before(spec);
  const auto sums = sum_nodes(spec);
  std::vector<bool> carried(spec.nodes.size(), false);
  const auto take = [&](int operand) {
    const auto index = static_cast<std::size_t>(operand);
    if (operand >= 0 && passes[index] == 0 && level[index] == Level::element) carried[index] = true;
  };
  // What comes after the first pass takes the values of before it that it uses directly.
  const auto take_for = [&](int root) {
    const auto needed = needed_by(spec, root);
    for (std::size_t i = 0; i < spec.nodes.size(); ++i) {
      if (!needed[i] || passes[i] == 0 || level[i] != Level::element) continue;
      for (int operand : {spec.nodes[i].a, spec.nodes[i].b, spec.nodes[i].c}) take(operand);
    }
  };
  for (const Output& output : spec.outputs)
    if (passes[static_cast<std::size_t>(output.value)] > 0) take_for(output.value);
  for (std::size_t pass = 1; pass < sums.size(); ++pass) {
    take_for(sums[pass]);
    const int value = spec.nodes[static_cast<std::size_t>(sums[pass])].a;
    const Node& summand = spec.nodes[static_cast<std::size_t>(value)];
    if (summand.op == Op::mul && passes[static_cast<std::size_t>(value)] == 0) {
      take(summand.a);
      take(summand.b);
    } else {
      take(value);
    }
  }
  std::vector<Carried> out;
  for (std::size_t i = 0; i < spec.nodes.size(); ++i) {
    if (!carried[i]) continue;
    const Node& node = spec.nodes[i];
    DType dtype = DType::f32;
    if (node.op == Op::input) dtype = spec.inputs[static_cast<std::size_t>(node.tensor)].dtype;
    if (node.op == Op::round) dtype = node.dtype;
    out.push_back({static_cast<int>(i), dtype});
  }
  return out;
}

int words_per_leaf(DType dtype, const Fold& fold) {
  return std::max(1, fold.leaf * static_cast<int>(size_of(dtype)) / 4);
}

}  // namespace isofold
