#include "exact_results.hpp"

#include <isofold/codegen/functions.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>

#include "element.hpp"
#include "parallel.hpp"

namespace isofold::tools {
namespace {

using Real = long double;
/// Of a node: one number for the whole row, or one for each element. Integers and truth values are numbers,
/// too.
using Values = std::vector<Real>;

struct ExactFunction {
  std::string_view name;
  Real (*of)(Real);
  bool positive;  // never below 0, and as exact for every argument as the argument's error lets it
};

Real sigmoid(Real x) { return 1 / (1 + std::exp(-x)); }

constexpr Real half_root = 0.70710678118654752440084436210484903928L;       // sqrt(1 / 2)
constexpr Real two_by_root_pi = 1.59576912160573071175978423973752747390L;  // 2 sqrt(2 / pi)

/// In forms without cancellation.
constexpr ExactFunction exact_functions[] = {
    {"exp", [](Real x) { return std::exp(x); }, true},
    {"exp_nonpositive", [](Real x) { return std::exp(x); }, true},
    {"log", [](Real x) { return std::log(x); }, false},
    {"sigmoid", sigmoid, true},
    {"silu", [](Real x) { return x * sigmoid(x); }, false},
    {"tanh", [](Real x) { return std::tanh(x); }, false},
    {"erf", [](Real x) { return std::erf(x); }, false},
    {"gelu", [](Real x) { return x / 2 * std::erfc(-x * half_root); }, false},
    {"rsqrt", [](Real x) { return 1 / std::sqrt(x); }, false},
    {"gelu_tanh", [](Real x) { return x * sigmoid(two_by_root_pi * (x + 0.044715L * x * x * x)); }, false},
};

const ExactFunction& exact_function(const Node& node) {
  const std::string_view name = functions()[static_cast<std::size_t>(node.function)].name;
  for (const ExactFunction& function : exact_functions)
    if (function.name == name) return function;
  throw UsageError(fmt::format("there is no exact {} to compare with", name));
}

std::uint32_t bits_of(Real integer) { return static_cast<std::uint32_t>(static_cast<std::int64_t>(integer)); }
Real integer_of(std::uint32_t bits) { return static_cast<std::int32_t>(bits); }

Real larger(Real a, Real b) { return a != a ? a : b != b ? b : std::max(a, b); }

/// An operation on numbers alone; `integers`: on 32-bit integers, which wrap around.
Real operation(const Node& node, bool integers, Real a, Real b, Real c) {
  switch (node.op) {
    case Op::constant:
      return node.value;
    case Op::integer:
      return node.integer;
    case Op::add:
      return integers ? integer_of(bits_of(a) + bits_of(b)) : a + b;
    case Op::sub:
      return integers ? integer_of(bits_of(a) - bits_of(b)) : a - b;
    case Op::mul:
      return integers ? integer_of(bits_of(a) * bits_of(b)) : a * b;
    case Op::fma:
      return a * b + c;
    case Op::div:
      return a / b;
    case Op::sqrt:
      return std::sqrt(a);
    case Op::neg:
      return -a;
    case Op::abs:
      return std::fabs(a);
    case Op::max:
      return larger(a, b);
    case Op::min:
      return -larger(-a, -b);
    case Op::less:
      return a < b;
    case Op::less_equal:
      return a <= b;
    case Op::equal:
      return a == b;
    case Op::where:
      return a != 0 ? b : c;
    case Op::both:
      return integer_of(bits_of(a) & bits_of(b));
    case Op::either:
      return integer_of(bits_of(a) | bits_of(b));
    case Op::shift_left:
      return integer_of(bits_of(a) << bits_of(b));
    case Op::shift_right:
      return static_cast<std::int32_t>(bits_of(a)) >> bits_of(b);
    case Op::from_int:
    case Op::round:
      return a;
    case Op::call:
      return exact_function(node).of(a);
    default:
      throw InternalError("the exact results met an operation that is not one of numbers alone");
  }
}

/// Of `count` elements, all of them equal where there is one number for the row. Sums are Neumaier's.
Real reduced(Op reduction, const Values& values, std::int64_t count) {
  const auto at = [&](std::int64_t i) {
    return values[values.size() == 1 ? 0 : static_cast<std::size_t>(i)];
  };
  if (reduction != Op::sum) {
    const Real sign = reduction == Op::reduce_max ? 1 : -1;
    Real best = -std::numeric_limits<Real>::infinity();
    for (std::int64_t i = 0; i < count; ++i) best = larger(best, sign * at(i));
    return sign * best;
  }
  Real total = 0, lost = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const Real value = at(i), next = total + value;
    lost += std::fabs(total) >= std::fabs(value) ? total - next + value : value - next + total;
    total = next;
  }
  return std::isfinite(total) ? total + lost : total;
}

/// Values of all nodes for one row.
class RowEvaluator {
 public:
  RowEvaluator(const Spec& spec, std::span<const std::vector<std::byte>> inputs)
      : spec_(spec), inputs_(inputs), types_(types(spec)) {}

  std::vector<Values> operator()(std::int64_t row) const {
    std::vector<Values> values;
    values.reserve(spec_.nodes.size());
    for (const Node& node : spec_.nodes) values.push_back(value_of(node, values, row));
    return values;
  }

 private:
  Values value_of(const Node& node, const std::vector<Values>& values, std::int64_t row) const {
    if (node.op == Op::input) return input_row(node.tensor, row);
    if (node.op == Op::index) {
      Values places(static_cast<std::size_t>(spec_.n));
      for (std::size_t i = 0; i < places.size(); ++i) places[i] = static_cast<Real>(i);
      return places;
    }
    if (is_reduction(node.op)) return {reduced(node.op, values[static_cast<std::size_t>(node.a)], spec_.n)};
    const std::array<int, 3> operands{node.a, node.b, node.c};
    std::size_t size = 1;
    for (const int operand : operands)
      if (operand >= 0) size = std::max(size, values[static_cast<std::size_t>(operand)].size());
    const auto at = [&](int operand, std::size_t i) -> Real {
      if (operand < 0) return 0;
      const Values& all = values[static_cast<std::size_t>(operand)];
      return all[all.size() == 1 ? 0 : i];
    };
    const bool integers = node.a >= 0 && types_[static_cast<std::size_t>(node.a)] == Type::i32;
    Values result(size);
    for (std::size_t i = 0; i < size; ++i)
      result[i] = node.op == Op::element
                      ? input_element(node.tensor, row, at(node.a, i))
                      : operation(node, integers, at(node.a, i), at(node.b, i), at(node.c, i));
    return result;
  }

  Values input_row(int index, std::int64_t row) const {
    const Tensor& tensor = spec_.inputs[static_cast<std::size_t>(index)];
    const std::int64_t length = row_elements(spec_, tensor.extent), first = row_used(tensor, row) * length;
    Values values(static_cast<std::size_t>(length));
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = element(inputs_[static_cast<std::size_t>(index)].data(), tensor.dtype,
                          first + static_cast<std::int64_t>(i));
    return values;
  }

  Real input_element(int index, std::int64_t row, Real place) const {
    if (place < 0 || place >= static_cast<Real>(spec_.n)) return std::numeric_limits<Real>::quiet_NaN();
    return element(inputs_[static_cast<std::size_t>(index)].data(),
                   spec_.inputs[static_cast<std::size_t>(index)].dtype,
                   row * spec_.n + static_cast<std::int64_t>(place));
  }

  const Spec& spec_;
  std::span<const std::vector<std::byte>> inputs_;
  std::vector<Type> types_;
};

/// What is known of each node without its operands' numbers.
struct Nature {
  bool never_negative = false;
  bool may_cancel = false;
  bool vanishes = false;  // 0 but for rounding errors
};

/// 1 - x (1 / x): what rounding took from the inverse.
bool is_rest_of_inverse(const Spec& spec, const Node& node) {
  const auto at = [&](int index) -> const Node& { return spec.nodes[static_cast<std::size_t>(index)]; };
  const auto is_one = [&](int index) { return at(index).op == Op::constant && at(index).value == 1; };
  if (node.op != Op::fma || !is_one(node.c) || at(node.a).op != Op::neg || at(node.b).op != Op::div) return false;
  return is_one(at(node.b).a) && at(node.b).b == at(node.a).a;
}

Nature nature_of(const Spec& spec, const Node& node, const std::vector<Nature>& natures) {
  const auto of = [&](int operand) {
    return operand < 0 ? Nature{} : natures[static_cast<std::size_t>(operand)];
  };
  const Nature a = of(node.a), b = of(node.b), c = of(node.c);
  const bool both_positive = a.never_negative && b.never_negative, either = a.may_cancel || b.may_cancel;
  if (is_rest_of_inverse(spec, node) || (node.op == Op::mul && (a.vanishes || b.vanishes))) return {.vanishes = true};
  if (node.op == Op::fma && c.vanishes) return {both_positive, either};
  switch (node.op) {
    case Op::constant:
      return {node.value >= 0, false};
    case Op::add:
      return {both_positive, either || !both_positive};
    case Op::sub:
      return {false, true};
    case Op::mul:
      return {both_positive || node.a == node.b, either};
    case Op::fma: {
      const bool product_positive = both_positive || node.a == node.b;
      return {product_positive && c.never_negative,
              either || c.may_cancel || !product_positive || !c.never_negative};
    }
    case Op::div:
    case Op::min:
      return {both_positive, either};
    case Op::max:
      return {a.never_negative || b.never_negative, either};
    case Op::sqrt:
    case Op::abs:
      return {true, a.may_cancel};
    case Op::where:
      return {b.never_negative && c.never_negative, b.may_cancel || c.may_cancel};
    case Op::call: {
      if (exact_function(node).positive) return {true, false};
      return {false, a.may_cancel || exact_function(node).name == "log"};
    }
    case Op::sum:
      return {a.never_negative, a.may_cancel || !a.never_negative};
    case Op::round:
    case Op::reduce_max:
    case Op::reduce_min:
      return a;
    case Op::neg:
      return {false, a.may_cancel};
    default:
      return {};
  }
}

}  // namespace

std::vector<std::vector<long double>> exact_results(const Spec& spec, std::int64_t rows,
                                                    std::span<const std::vector<std::byte>> inputs) {
  for (const Node& node : spec.nodes) {
    if (node.op == Op::bits || node.op == Op::from_bits)
      throw UsageError(
          fmt::format("{} speaks of bit patterns: it says nothing of real numbers to compare with", spec.op));
    if (node.op == Op::call) exact_function(node);
  }
  std::vector<Values> results;
  for (const Output& output : spec.outputs)
    results.emplace_back(static_cast<std::size_t>(rows * row_elements(spec, output.extent)));
  const RowEvaluator evaluate(spec, inputs);
  for_each_parallel(static_cast<std::size_t>(rows), [&](std::size_t row) {
    const std::vector<Values> values = evaluate(static_cast<std::int64_t>(row));
    for (std::size_t o = 0; o < results.size(); ++o) {
      const Values& from = values[static_cast<std::size_t>(spec.outputs[o].value)];
      const auto length = static_cast<std::size_t>(row_elements(spec, spec.outputs[o].extent));
      for (std::size_t i = 0; i < length; ++i) results[o][row * length + i] = from[from.size() == 1 ? 0 : i];
    }
  });
  return results;
}

bool may_cancel(const Spec& spec, int node) {
  std::vector<Nature> natures;
  for (const Node& one : spec.nodes) natures.push_back(nature_of(spec, one, natures));
  return natures[static_cast<std::size_t>(node)].may_cancel;
}

}  // namespace isofold::tools
