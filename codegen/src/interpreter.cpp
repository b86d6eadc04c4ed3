#include <isofold/codegen/functions.hpp>
#include <isofold/codegen/interpreter.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cfenv>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#ifdef __FAST_MATH__
#error "the oracle compares NaN and counts on every rounding: -ffast-math and -Ofast cannot build it"
#endif

namespace isofold {
namespace {

/// Round to nearest even, subnormals kept, nothing trapped, for as long as it lives.
class DefaultRounding {
 public:
  DefaultRounding(const DefaultRounding&) = delete;
  DefaultRounding& operator=(const DefaultRounding&) = delete;
#if defined(__x86_64__)
  DefaultRounding() : saved_(_mm_getcsr()) { _mm_setcsr(0x1f80); }
  ~DefaultRounding() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#elif defined(__aarch64__)
  DefaultRounding() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" : : "r"(std::uint64_t{0}));
  }
  ~DefaultRounding() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }

 private:
  std::uint64_t saved_ = 0;
#else
  DefaultRounding() {
    std::fegetenv(&saved_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~DefaultRounding() { std::fesetenv(&saved_); }

 private:
  std::fenv_t saved_;
#endif
};

/// Arithmetic on Real, which is float, or double in Specs of f64.
template <class Real>
class Evaluator {
  using Bits = std::conditional_t<sizeof(Real) == 8, std::uint64_t, std::uint32_t>;
  /// The value of a node, as bit patterns (0 or 1 for truth values): one for the whole row, or one for each element.
  using Values = std::vector<Bits>;
  using Partial = std::optional<Real>;

 public:
  Evaluator(const Spec& spec, const Fold& fold)
      : spec_(spec), fold_(fold), types_(types(spec)) {
    const std::int64_t leaves = (spec.n + fold.leaf - 1) / fold.leaf;
    leaves_per_segment_ = (leaves + fold.segments - 1) / fold.segments;
  }

  /// Stores the outputs of row `token`.
  void row(std::int64_t token, std::span<const ConstView> inputs, std::span<const View> outputs) const {
    const std::vector<Values> values = evaluate(token, inputs);
    for (std::size_t output = 0; output < outputs.size(); ++output) {
      const Values& result = values[spec_.outputs[output].value];
      const std::int64_t first = row_offset(spec_, spec_.outputs[output], outputs[output].row_stride, token);
      for (std::int64_t i = 0; i < row_elements(spec_, spec_.outputs[output].extent); ++i)
        store(outputs[output].data, spec_.outputs[output].dtype, first + i, as_real(at(result, i)));
    }
  }

 private:
  static Bits at(const Values& values, std::int64_t element) { return values.size() == 1 ? values[0] : values[element]; }
  static Real as_real(Bits bits) { return std::bit_cast<Real>(bits); }
  static Bits as_bits(Real value) { return std::bit_cast<Bits>(value); }
  static std::int32_t as_int(Bits bits) { return static_cast<std::int32_t>(static_cast<std::uint32_t>(bits)); }
  static constexpr Bits sign_bit = Bits{1} << (8 * sizeof(Bits) - 1);
  static constexpr Bits canonical_nan = sign_bit - 1;

  static Bits load(const void* data, DType dtype, std::int64_t element) {
    switch (dtype) {
      case DType::i32: return static_cast<const std::uint32_t*>(data)[element];
      case DType::f64: return as_bits(static_cast<Real>(static_cast<const double*>(data)[element]));
      case DType::f32: return as_bits(static_cast<const float*>(data)[element]);
      case DType::bf16: return as_bits(from_bf16(static_cast<const std::uint16_t*>(data)[element]));
      case DType::f16: return as_bits(from_f16(static_cast<const std::uint16_t*>(data)[element]));
      case DType::e4m3: return as_bits(from_e4m3(static_cast<const std::uint8_t*>(data)[element]));
      case DType::i8: return as_bits(static_cast<const std::int8_t*>(data)[element]);
    }
    throw InternalError("a dtype that the interpreter does not load");
  }

  static void store(void* data, DType dtype, std::int64_t element, Real value) {
    const auto narrow = static_cast<float>(value);
    switch (dtype) {
      case DType::f64:
      case DType::f32: static_cast<Bits*>(data)[element] = value != value ? canonical_nan : as_bits(value); break;
      case DType::bf16: static_cast<std::uint16_t*>(data)[element] = to_bf16(narrow); break;
      case DType::f16: static_cast<std::uint16_t*>(data)[element] = to_f16(narrow); break;
      case DType::e4m3: static_cast<std::uint8_t*>(data)[element] = to_e4m3(narrow); break;
      case DType::i8: static_cast<std::int8_t*>(data)[element] = to_i8(narrow); break;
      case DType::i32: throw InternalError("a dtype that the interpreter does not store");
    }
  }

  static Real rounded(Real value, DType dtype) {
    if (dtype == DType::f32) return value;
    const auto narrow = static_cast<float>(value);
    return dtype == DType::bf16 ? from_bf16(to_bf16(narrow)) : from_f16(to_f16(narrow));
  }

  /// The larger one; NaN when one is NaN; -0 < +0.
  static Real larger(Real a, Real b) {
    if (a != a || b != b) return std::numeric_limits<Real>::quiet_NaN();
    if (a == 0 && b == 0) return std::signbit(a) ? b : a;
    return a < b ? b : a;
  }
  static Real smaller(Real a, Real b) { return -larger(-a, -b); }

  static Real combined(Op reduction, Real left, Real right) {
    if (reduction == Op::sum) return left + right;
    return reduction == Op::reduce_max ? larger(left, right) : smaller(left, right);
  }

  /// A branch without an element is skipped: it is not a zero that is added.
  static Partial joined(Op reduction, Partial left, Partial right) {
    if (left && right) return combined(reduction, *left, *right);
    return left ? left : right;
  }

  /// Walks the fold over the elements first, or the products first * second when that is given; of vectors that hold one
  /// number over N copies.
  Real reduce(Op reduction, const Values& first, const Values* second) const {
    if (spec_.n == 0) return reduction == Op::sum ? 0 : std::numeric_limits<Real>::quiet_NaN();
    std::vector<Partial> segments(fold_.segments);
    for (int segment = 0; segment < fold_.segments; ++segment)
      segments[segment] = segment_result(reduction, segment, first, second);
    while (segments.size() > 1) {
      for (std::size_t pair = 0; pair < segments.size() / 2; ++pair)
        segments[pair] = joined(reduction, segments[2 * pair], segments[2 * pair + 1]);
      segments.resize(segments.size() / 2);
    }
    return segments[0].value();
  }

  Partial segment_result(Op reduction, int segment, const Values& first, const Values* second) const {
    std::vector<Partial> lanes(fold_.lanes);
    for (int lane = 0; lane < fold_.lanes; ++lane) lanes[lane] = lane_result(reduction, segment, lane, first, second);
    for (int half = fold_.lanes / 2; half >= 1; half /= 2)
      for (int lane = 0; lane < half; ++lane) lanes[lane] = joined(reduction, lanes[lane], lanes[lane + half]);
    return lanes[0];
  }

  Partial lane_result(Op reduction, int segment, int lane, const Values& first, const Values* second) const {
    Partial chain;
    for (std::int64_t leaf = lane; leaf < leaves_per_segment_; leaf += fold_.lanes) {
      const std::int64_t begin = (segment * leaves_per_segment_ + leaf) * fold_.leaf;
      const std::int64_t end = std::min(begin + fold_.leaf, spec_.n);
      for (std::int64_t element = begin; element < end; ++element) {
        const Real value = as_real(at(first, element));
        if (!second)
          chain = chain ? combined(reduction, *chain, value) : value;
        else
          chain = chain ? std::fma(value, as_real(at(*second, element)), *chain) : value * as_real(at(*second, element));
      }
    }
    return chain;
  }

  /// A function's value, by its definition.
  static Bits called(const Function& function, const std::array<Bits, 3>& arguments) {
    std::array<Bits, max_function_nodes> values;
    for (std::size_t i = 0; i < function.nodes.size(); ++i) {
      const Node& node = function.nodes[i];
      const auto operand = [&](int index) { return index < 0 ? 0 : values[index]; };
      values[i] = node.op == Op::parameter
                      ? arguments[node.tensor]
                      : operation(node, node.a >= 0 && function.types[node.a] == Type::i32, operand(node.a), operand(node.b),
                                  operand(node.c));
    }
    return values[function.result];
  }

  /// A scalar operation, on bit patterns.
  static Bits operation(const Node& node, bool integers, Bits a, Bits b, Bits c) {
    const Real x = as_real(a), y = as_real(b), z = as_real(c);
    const auto wrapped = [](std::uint32_t value) { return Bits{value}; };
    const auto i = static_cast<std::uint32_t>(a), j = static_cast<std::uint32_t>(b);
    switch (node.op) {
      case Op::constant: return as_bits(static_cast<Real>(node.value));
      case Op::integer: return wrapped(static_cast<std::uint32_t>(node.integer));
      case Op::add: return integers ? wrapped(i + j) : as_bits(x + y);
      case Op::sub: return integers ? wrapped(i - j) : as_bits(x - y);
      case Op::mul: return integers ? wrapped(i * j) : as_bits(x * y);
      case Op::fma: return as_bits(std::fma(x, y, z));
      case Op::div: return as_bits(x / y);
      case Op::sqrt: return as_bits(std::sqrt(x));
      case Op::neg: return a ^ sign_bit;
      case Op::abs: return a & ~sign_bit;
      case Op::max: return as_bits(larger(x, y));
      case Op::min: return as_bits(smaller(x, y));
      case Op::less: return integers ? as_int(a) < as_int(b) : x < y;
      case Op::less_equal: return integers ? as_int(a) <= as_int(b) : x <= y;
      case Op::equal: return integers ? i == j : x == y;
      case Op::where: return a != 0 ? b : c;
      case Op::both: return a & b;
      case Op::either: return a | b;
      case Op::shift_left: return wrapped(i << j);
      case Op::shift_right: return wrapped(static_cast<std::uint32_t>(as_int(a) >> j));
      case Op::bits: return x != x ? 0x7fffffff : a;
      case Op::from_bits: return a;
      case Op::from_int: return as_bits(static_cast<Real>(as_int(a)));
      case Op::round: return as_bits(rounded(x, node.dtype));
      case Op::call: return called(functions()[node.function], {a, b, c});
      default: throw InternalError("the interpreter met an operation that is not one of numbers alone");
    }
  }

  Values input(const Tensor& tensor, const ConstView& view, std::int64_t token) const {
    const std::int64_t first = row_offset(spec_, tensor, view.row_stride, token);
    Values row(row_elements(spec_, tensor.extent));
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = load(view.data, tensor.dtype, first + static_cast<std::int64_t>(i));
    return row;
  }

  /// The operation for every element that its operands have.
  Values mapped(const Node& node, const std::vector<Values>& values) const {
    const auto operand = [&](int index, std::int64_t element) { return index < 0 ? 0 : at(values[index], element); };
    std::size_t size = 1;
    for (int index : {node.a, node.b, node.c})
      if (index >= 0 && size != 0 && values[index].size() != 1) size = values[index].size();
    const bool integers = node.a >= 0 && types_[node.a] == Type::i32;
    Values result(size);
    for (std::size_t i = 0; i < size; ++i) {
      const auto element = static_cast<std::int64_t>(i);
      result[i] = operation(node, integers, operand(node.a, element), operand(node.b, element), operand(node.c, element));
    }
    return result;
  }

  /// Values of every node for row `token`.
  std::vector<Values> evaluate(std::int64_t token, std::span<const ConstView> inputs) const {
    std::vector<Values> values;
    values.reserve(spec_.nodes.size());
    for (const Node& node : spec_.nodes) {
      if (node.op == Op::input) {
        values.push_back(input(spec_.inputs[node.tensor], inputs[node.tensor], token));
      } else if (node.op == Op::index) {
        Values row(spec_.n);
        std::iota(row.begin(), row.end(), Bits{0});
        values.push_back(std::move(row));
      } else if (node.op == Op::element) {
        const std::int64_t place = as_int(values[node.a].at(0));
        const Tensor& tensor = spec_.inputs[node.tensor];
        const ConstView& view = inputs[node.tensor];
        const bool exists = place >= 0 && place < spec_.n;
        const std::int64_t first = row_offset(spec_, tensor, view.row_stride, token);
        values.push_back({exists ? load(view.data, tensor.dtype, first + place) : canonical_nan});
      } else if (is_reduction(node.op)) {
        const Node& operand = spec_.nodes[node.a];
        const bool products = node.op == Op::sum && operand.op == Op::mul;
        values.push_back({as_bits(products ? reduce(node.op, values[operand.a], &values[operand.b])
                                           : reduce(node.op, values[node.a], nullptr))});
      } else {
        values.push_back(mapped(node, values));
      }
    }
    return values;
  }

  const Spec& spec_;
  const Fold& fold_;
  std::vector<Type> types_;
  std::int64_t leaves_per_segment_;
};

/// Not inlined: no arithmetic may move out of the scope of DefaultRounding.
[[gnu::noinline]] void interpret_rows(const Spec& spec, const Fold& fold, std::int64_t tokens,
                                      std::span<const ConstView> inputs, std::span<const View> outputs) {
  const auto all = [&](const auto& evaluator) {
    for (std::int64_t token = 0; token < tokens; ++token) evaluator.row(token, inputs, outputs);
  };
  if (is_wide(spec)) all(Evaluator<double>(spec, fold));
  else all(Evaluator<float>(spec, fold));
}

}  // namespace

void interpret(const Spec& spec, const Fold& fold, std::int64_t tokens, std::span<const ConstView> inputs,
               std::span<const View> outputs) {
  if (const std::string rule = broken_rule(spec); !rule.empty()) throw UsageError("spec: " + rule);
  if (const std::string rule = broken_rule(fold); !rule.empty()) throw UsageError("fold: " + rule);
  if (tokens < 0) throw UsageError(fmt::format("tokens is {}; it must be 0 or more", tokens));
  if (inputs.size() != spec.inputs.size() || outputs.size() != spec.outputs.size())
    throw UsageError(fmt::format("{} has {} inputs and {} outputs; {} and {} were passed", spec.op,
                                 spec.inputs.size(), spec.outputs.size(), inputs.size(), outputs.size()));
  const DefaultRounding rounding;
  interpret_rows(spec, fold, tokens, inputs, outputs);
}

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

std::uint8_t to_e4m3(float value) {
  if (value != value) return 0x7f;
  const std::uint8_t sign = std::signbit(value) ? 0x80 : 0;
  const double magnitude = std::min(std::fabs(static_cast<double>(value)), 448.0);
  if (magnitude < 0x1p-6) return sign | static_cast<std::uint8_t>(std::nearbyint(magnitude * 0x1p9));  // units of 2^-9
  int exponent = 0;
  const double fraction = std::frexp(magnitude, &exponent);  // 0.5 <= fraction < 1: in units of 1/16, 8 to 16
  const auto units = static_cast<int>(std::nearbyint(fraction * 16));
  return sign | static_cast<std::uint8_t>(((exponent + 6) << 3) + units - 8);
}

std::int8_t to_i8(float value) {
  if (value != value) return 0;
  return static_cast<std::int8_t>(std::nearbyint(std::min(std::max(value, -128.0f), 127.0f)));
}

std::uint16_t to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000;
  const std::uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return 0x7fff;
  if (magnitude >= 0x47800000) return static_cast<std::uint16_t>(sign | 0x7c00);  // 2^16 and more
  if (magnitude >= 0x38800000) {                                                  // 2^-14 and more: normal
    const std::uint32_t rebiased = magnitude - (112u << 23);
    return static_cast<std::uint16_t>(sign | ((rebiased + 0xfff + ((rebiased >> 13) & 1)) >> 13));
  }
  // Subnormal: count units of 2^-24. The value is mantissa * 2^(exponent - 150).
  const std::uint32_t exponent = magnitude >> 23;
  const std::uint32_t mantissa = (magnitude & 0x7fffff) | 0x800000;
  if (exponent < 102) return static_cast<std::uint16_t>(sign);  // below half a unit
  const std::uint32_t shift = 126 - exponent;
  const std::uint32_t units = (mantissa + (1u << (shift - 1)) - 1 + ((mantissa >> shift) & 1)) >> shift;
  return static_cast<std::uint16_t>(sign | units);
}

float from_bf16(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

float from_e4m3(std::uint8_t bits) {
  const int exponent = bits >> 3 & 15, fraction = bits & 7;
  float magnitude = std::ldexp(static_cast<float>(exponent == 0 ? fraction : fraction + 8), std::max(exponent, 1) - 10);
  if ((bits & 0x7f) == 0x7f) magnitude = std::numeric_limits<float>::quiet_NaN();
  return (bits & 0x80) != 0 ? -magnitude : magnitude;
}

float from_f16(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1f;
  const std::uint32_t mantissa = bits & 0x3ff;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000 | mantissa << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  if (mantissa == 0) return std::bit_cast<float>(sign);
  // Subnormal, mantissa * 2^-24: move the leading one to the hidden bit.
  const int shift = std::countl_zero(mantissa) - 21;
  return std::bit_cast<float>(sign | static_cast<std::uint32_t>(113 - shift) << 23 |
                              ((mantissa << shift) & 0x3ff) << 13);
}

}  // namespace isofold
