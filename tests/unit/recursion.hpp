#pragma once
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/functions.hpp>
#include <isofold/codegen/interpreter.hpp>
#include <isofold/codegen/spec.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "support/call.hpp"
#include "support/reference_rounding.hpp"

namespace isofold::testing {

/// Evaluates a Spec in another way than the interpreter: by recursion from the outputs, one element at a
/// time, in binary64 with a rounding after each operation (which is exact for one operation on binary32
/// values).
class Recursion {
 public:
  Recursion(const Spec& spec, const Fold& fold, const Call& call, std::int64_t row)
      : spec_(spec), fold_(fold), inputs_(call.input_views()), row_(row), types_(types(spec)) {}

  float value(int index, std::int64_t element) { return std::bit_cast<float>(pattern(index, element)); }

  std::uint32_t pattern(int index, std::int64_t element) {
    const Node& node = spec_.nodes[static_cast<std::size_t>(index)];
    if (node.op == Op::index) return static_cast<std::uint32_t>(element);
    if (node.op == Op::input && spec_.inputs[static_cast<std::size_t>(node.tensor)].dtype == DType::i32) {
      const ConstView& view = inputs_[static_cast<std::size_t>(node.tensor)];
      return static_cast<const std::uint32_t*>(view.data)[row_ * view.row_stride];
    }
    if (node.op == Op::element) {
      const auto place = static_cast<std::int32_t>(pattern(node.a, element));
      return std::bit_cast<std::uint32_t>(place >= 0 && place < spec_.n ? input(node.tensor, place) : NAN);
    }
    return scalar(node, [&](int operand) { return pattern(operand, element); }, element);
  }

  /// Integers and truth values, and functions by their definitions; what is left is a number.
  std::uint32_t scalar(const Node& node, const std::function<std::uint32_t(int)>& operand, std::int64_t element) {
    const auto a = [&] { return operand(node.a); };
    const auto b = [&] { return operand(node.b); };
    const auto number = [&](int index) { return std::bit_cast<float>(operand(index)); };
    switch (node.op) {
      case Op::integer: return static_cast<std::uint32_t>(node.integer);
      case Op::bits: return std::isnan(number(node.a)) ? 0x7fffffff : a();
      case Op::from_bits: return a();
      case Op::from_int: return std::bit_cast<std::uint32_t>(static_cast<float>(static_cast<double>(static_cast<std::int32_t>(a()))));
      case Op::shift_left: return static_cast<std::uint32_t>(std::uint64_t{a()} << b());
      case Op::shift_right: return static_cast<std::uint32_t>(std::int64_t{static_cast<std::int32_t>(a())} >> b());
      case Op::both: return a() & b();
      case Op::either: return a() | b();
      case Op::where: return a() != 0 ? b() : operand(node.c);
      case Op::less: return is_integer(node.a) ? static_cast<std::int32_t>(a()) < static_cast<std::int32_t>(b()) : number(node.a) < number(node.b);
      case Op::less_equal: return is_integer(node.a) ? static_cast<std::int32_t>(a()) <= static_cast<std::int32_t>(b()) : number(node.a) <= number(node.b);
      case Op::equal: return is_integer(node.a) ? a() == b() : number(node.a) == number(node.b);
      case Op::add: if (is_integer(node.a)) return a() + b(); break;
      case Op::sub: if (is_integer(node.a)) return a() - b(); break;
      case Op::mul: if (is_integer(node.a)) return a() * b(); break;
      case Op::call: {
        const Function& function = functions()[static_cast<std::size_t>(node.function)];
        const std::array<std::uint32_t, 3> arguments{a(), node.b < 0 ? 0 : b(), node.c < 0 ? 0 : operand(node.c)};
        const std::vector<Type> outer = std::exchange(types_, function.types);
        std::vector<std::uint32_t> values;
        for (const Node& inner : function.nodes)
          values.push_back(inner.op == Op::parameter ? arguments[static_cast<std::size_t>(inner.tensor)]
                                                     : scalar(inner, [&](int i) { return values[static_cast<std::size_t>(i)]; }, element));
        types_ = outer;
        return values[static_cast<std::size_t>(function.result)];
      }
      default: break;
    }
    return std::bit_cast<std::uint32_t>(number_of(node, number, element));
  }

 private:
  bool is_integer(int index) const { return types_[static_cast<std::size_t>(index)] == Type::i32; }
  static float extreme(double a, double b, bool larger) {
    if (std::isnan(a) || std::isnan(b)) return NAN;
    if (a == b) return static_cast<float>(std::signbit(a) == larger ? b : a);
    return static_cast<float>((a > b) == larger ? a : b);
  }

  float number_of(const Node& node, const std::function<float(int)>& number, std::int64_t element) {
    const auto operand = [&](int index) { return static_cast<double>(number(index)); };
    switch (node.op) {
      case Op::input:
        return input(node.tensor, element);

      case Op::constant:
        return node.value;
      case Op::add:
        return static_cast<float>(operand(node.a) + operand(node.b));
      case Op::mul:
        return static_cast<float>(operand(node.a) * operand(node.b));
      case Op::div:
        return static_cast<float>(operand(node.a) / operand(node.b));
      case Op::sqrt:
        return static_cast<float>(std::sqrt(operand(node.a)));
      case Op::fma:
        return std::fma(number(node.a), number(node.b), number(node.c));
      case Op::round:
        return rounded(number(node.a), node.dtype);
      case Op::sub:
        return static_cast<float>(operand(node.a) - operand(node.b));
      case Op::neg:
        return -number(node.a);
      case Op::abs:
        return std::abs(number(node.a));
      case Op::max:
        return extreme(operand(node.a), operand(node.b), true);
      case Op::min:
        return extreme(operand(node.a), operand(node.b), false);
      case Op::sum:
      case Op::reduce_max:
      case Op::reduce_min:
        return reduced(node);
      default:
        throw std::logic_error("random specs do not have this operation");
    }
  }

 public:
  std::uint32_t output_bits(const Output& output, std::int64_t element) {
    const float result = value(output.value, element);
    if (output.dtype == DType::f32)
      return std::isnan(result) ? 0x7fffffff : std::bit_cast<std::uint32_t>(result);
    if (output.dtype == DType::e4m3) return to_e4m3(result);
    if (output.dtype == DType::i8) return static_cast<std::uint8_t>(to_i8(result));
    return format(output.dtype).nearest(result);
  }

 private:
  using Part = std::optional<float>;

  static const testing::SmallFloat& format(DType dtype) {
    return dtype == DType::bf16 ? testing::bf16_format : testing::f16_format;
  }
  static float widened(std::uint16_t bits, DType dtype) {
    if (format(dtype).is_nan(bits)) return std::nanf("");
    if (format(dtype).is_infinite(bits)) return bits & 0x8000 ? -INFINITY : INFINITY;
    return static_cast<float>(format(dtype).value_of(bits));
  }
  static float rounded(float value, DType dtype) {
    return dtype == DType::f32 ? value : widened(format(dtype).nearest(value), dtype);
  }
  float input(int tensor, std::int64_t element) const {
    const Tensor& t = spec_.inputs[static_cast<std::size_t>(tensor)];
    const ConstView& view = inputs_[static_cast<std::size_t>(tensor)];
    const bool is_number = t.extent == Extent::token || t.extent == Extent::scalar;
    const std::int64_t group = row_ / t.groups, member = row_ - group * t.groups;
    const std::int64_t place = (is_number ? 0 : member * spec_.n + element) + (has_stride(t.extent) ? group * view.row_stride : 0);
    if (t.dtype == DType::f32) return static_cast<const float*>(view.data)[place];
    if (t.dtype == DType::i8) return static_cast<const signed char*>(view.data)[place];
    if (t.dtype == DType::e4m3) return from_e4m3(static_cast<const std::uint8_t*>(view.data)[place]);
    return widened(static_cast<const std::uint16_t*>(view.data)[place], t.dtype);
  }

  Part joined(Part a, Part b) const {
    if (!a || !b) return a ? a : b;
    if (reduction_ != Op::sum) return extreme(*a, *b, reduction_ == Op::reduce_max);
    return static_cast<float>(static_cast<double>(*a) + static_cast<double>(*b));
  }
  /// The result as every element sees it, computed once.
  float reduced(const Node& node) {
    Part& known = sums_[&node];
    if (!known) {
      const std::int64_t per_segment = leaves_per_segment(fold_, spec_.n);
      std::vector<Part> chains(static_cast<std::size_t>(fold_.segments * fold_.lanes));
      for (std::int64_t element = 0; element < spec_.n; ++element) {
        const std::int64_t leaf = element / fold_.leaf;
        join(chains[static_cast<std::size_t>(leaf / per_segment * fold_.lanes +
                                             leaf % per_segment % fold_.lanes)],
             node, element);
      }
      reduction_ = node.op;
      known = segments(chains, 0, fold_.segments).value();
    }
    return *known;
  }
  void join(Part& chain, const Node& node, std::int64_t element) {
    const Node& summand = spec_.nodes[static_cast<std::size_t>(node.a)];
    if (node.op == Op::sum && summand.op == Op::mul && chain) {
      chain = std::fma(value(summand.a, element), value(summand.b, element), *chain);
      return;
    }
    const float next = value(node.a, element);  // may be another reduction's first use
    reduction_ = node.op;
    chain = joined(chain, next);
  }
  Part segments(const std::vector<Part>& chains, int first, int count) {
    return count == 1 ? lanes(chains, first, 0, 1)
                      : joined(segments(chains, first, count / 2), segments(chains, first + count / 2, count / 2));
  }
  /// What lane `lane` holds when `held` lanes of the segment are left.
  Part lanes(const std::vector<Part>& chains, int segment, int lane, int held) {
    if (held == fold_.lanes) return chains[static_cast<std::size_t>(segment * fold_.lanes + lane)];
    return joined(lanes(chains, segment, lane, 2 * held), lanes(chains, segment, lane + held, 2 * held));
  }

  const Spec& spec_;
  const Fold& fold_;
  std::vector<ConstView> inputs_;
  std::int64_t row_;
  std::vector<Type> types_;   // of the nodes that are being evaluated
  Op reduction_ = Op::sum;    // the one that is being evaluated
  std::map<const Node*, Part> sums_;  // references stay valid while another sum is added
};

}  // namespace isofold::testing
