#include "masked_input.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

namespace isofold {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

/// How often nodes and outputs use the elements of a tensor.
std::ptrdiff_t uses(const Spec& spec, int tensor) {
  const auto is_it = [&](int node) { return node >= 0 && spec.nodes[at(node)].op == Op::input && spec.nodes[at(node)].tensor == tensor; };
  std::ptrdiff_t count = std::count_if(spec.outputs.begin(), spec.outputs.end(), [&](const Output& o) { return is_it(o.value); });
  for (const Node& node : spec.nodes)
    for (int operand : {node.a, node.b, node.c}) count += is_it(operand);
  return count;
}

/// The binary16 pattern of exactly this number. In binary64, which holds the subnormal numbers of binary32 as normal ones.
std::optional<std::uint32_t> f16_pattern(double value) {
  const std::uint32_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs(value), units = magnitude * 0x1p24;  // of the smallest subnormal number
  if (std::isinf(value)) return sign | 0x7c00;
  if (magnitude > 65504) return std::nullopt;
  if (units < 1024) return units == std::floor(units) ? std::optional(sign | static_cast<std::uint32_t>(units)) : std::nullopt;
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(static_cast<float>(magnitude));
  if (bits % 0x2000 != 0) return std::nullopt;
  return sign | (bits - ((127u - 15u) << 23)) >> 13;
}

/// A word full of `value`, a binary32 number; nothing when the dtype does not hold it exactly.
std::optional<std::uint32_t> word_of(double value, DType dtype) {
  if (std::isnan(value)) return std::nullopt;
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  if (dtype == DType::f32) return bits;
  std::optional<std::uint32_t> half;
  if (dtype == DType::f16) half = f16_pattern(value);
  if (dtype == DType::bf16 && bits % 0x10000 == 0) half = bits >> 16;
  return half ? std::optional(*half << 16 | *half) : std::nullopt;
}

}  // namespace

std::vector<MaskedInput> masked_inputs(const Spec& spec) {
  std::vector<MaskedInput> out;
  if (std::none_of(spec.nodes.begin(), spec.nodes.end(), [](const Node& node) { return node.op == Op::where; })) return out;
  const auto level = levels(spec);
  const auto before = passes_before(spec);
  for (std::size_t i = 0; i < spec.nodes.size(); ++i) {
    const Node& choice = spec.nodes[i];
    if (choice.op != Op::where) continue;
    const Node& condition = spec.nodes[at(choice.a)];
    const Node& x = spec.nodes[at(choice.b)];
    const Node& constant = spec.nodes[at(choice.c)];
    if (condition.op != Op::less || spec.nodes[at(condition.a)].op != Op::index) continue;
    if (level[at(condition.b)] > Level::row || before[at(condition.b)] != 0) continue;
    if (x.op != Op::input || spec.inputs[at(x.tensor)].extent != Extent::row || uses(spec, x.tensor) != 1) continue;
    if (constant.op != Op::constant) continue;
    if (const auto filler = word_of(constant.value, spec.inputs[at(x.tensor)].dtype))
      out.push_back({.node = static_cast<int>(i), .tensor = x.tensor, .limit = condition.b, .constant = constant.value, .filler = *filler});
  }
  return out;
}

Spec with_masked_inputs(const Spec& spec) {
  Spec out = spec;
  for (const MaskedInput& mask : masked_inputs(spec))
    out.nodes[at(mask.node)] = {.op = Op::input, .a = mask.limit, .tensor = mask.tensor, .name = spec.inputs[at(mask.tensor)].name};
  return out;
}

}  // namespace isofold
