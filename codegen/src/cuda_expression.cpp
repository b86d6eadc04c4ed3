#include "cuda_expression.hpp"

#include <isofold/error.hpp>

#include <fmt/format.h>

#include <bit>
#include <cmath>

namespace isofold {
namespace {

/// 1 / value when that is exact and finite, so that a division can be a multiplication with the same result; else 0.
float exact_reciprocal(float value) {
  int exponent = 0;
  const bool power_of_two = std::isfinite(value) && std::abs(std::frexp(value, &exponent)) == 0.5f;
  return power_of_two && exponent > -120 && exponent < 120 ? 1.0f / value : 0.0f;
}

}  // namespace

std::string CudaExpression::literal(float value) {
  if (value == std::floor(value) && std::abs(value) < 1e6f && !(value == 0 && std::signbit(value)))
    return fmt::format("{:.1f}f", value);
  return fmt::format("{:a}f", value);
}

std::string CudaExpression::print(int index) const {
  if (const auto found = bound_.find(index); found != bound_.end()) return found->second;
  const Node& node = spec_.nodes[static_cast<std::size_t>(index)];
  switch (node.op) {
    case Op::constant:
      return literal(node.value);
    case Op::add:
      return fmt::format("__fadd_rn({}, {})", print(node.a), print(node.b));
    case Op::mul:
      return fmt::format("__fmul_rn({}, {})", print(node.a), print(node.b));
    case Op::fma:
      return fmt::format("__fmaf_rn({}, {}, {})", print(node.a), print(node.b), print(node.c));
    case Op::sqrt:
      return fmt::format("__fsqrt_rn({})", print(node.a));
    case Op::div: {
      const Node& by = spec_.nodes[static_cast<std::size_t>(node.b)];
      if (by.op == Op::constant && exact_reciprocal(by.value) != 0)
        return fmt::format("__fmul_rn({}, {})", print(node.a), literal(exact_reciprocal(by.value)));
      const Node& of = spec_.nodes[static_cast<std::size_t>(node.a)];
      if (of.op == Op::constant && of.value == 1) return fmt::format("__frcp_rn({})", print(node.b));
      return fmt::format("__fdiv_rn({}, {})", print(node.a), print(node.b));
    }
    case Op::round:
      if (node.dtype == DType::f32) return print(node.a);
      return fmt::format("{}({})", helpers_.round(node.dtype), print(node.a));
    case Op::input:
    case Op::sum:
      break;
  }
  throw InternalError(fmt::format("node {} of {} is used where it has no value", index, spec_.op));
}

}  // namespace isofold
