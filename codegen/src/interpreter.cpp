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

/// The value of a node, as bit patterns (0 or 1 for truth values): one for the whole row, or one for each element.
using Values = std::vector<std::uint32_t>;

std::uint32_t at(const Values& values, std::int64_t element) {
  return values.size() == 1 ? values[0] : values[element];
}

float as_float(std::uint32_t bits) { return std::bit_cast<float>(bits); }
std::uint32_t as_bits(float value) { return std::bit_cast<std::uint32_t>(value); }
std::int32_t as_int(std::uint32_t bits) { return std::bit_cast<std::int32_t>(bits); }

std::uint32_t load(const void* data, DType dtype, std::int64_t element) {
  if (size_of(dtype) == 4) return static_cast<const std::uint32_t*>(data)[element];
  const std::uint16_t bits = static_cast<const std::uint16_t*>(data)[element];
  return as_bits(dtype == DType::bf16 ? from_bf16(bits) : from_f16(bits));
}

void store(void* data, DType dtype, std::int64_t element, float value) {
  switch (dtype) {
    case DType::f32: {
      constexpr std::uint32_t canonical_nan = 0x7fffffff;
      static_cast<std::uint32_t*>(data)[element] = value != value ? canonical_nan : as_bits(value);
      break;
    }
    case DType::bf16:
      static_cast<std::uint16_t*>(data)[element] = to_bf16(value);
      break;
    case DType::f16:
      static_cast<std::uint16_t*>(data)[element] = to_f16(value);
      break;
    case DType::e4m3:
      static_cast<std::uint8_t*>(data)[element] = to_e4m3(value);
      break;
    case DType::i8:
      static_cast<std::int8_t*>(data)[element] = to_i8(value);
      break;
    case DType::i32:
      break;  // not a dtype of outputs
  }
}

float rounded(float value, DType dtype) {
  if (dtype == DType::f32) return value;
  return dtype == DType::bf16 ? from_bf16(to_bf16(value)) : from_f16(to_f16(value));
}

/// The larger one; NaN when one is NaN; -0 < +0.
float larger(float a, float b) {
  if (a != a || b != b) return std::numeric_limits<float>::quiet_NaN();
  if (a == 0 && b == 0) return std::signbit(a) ? b : a;
  return a < b ? b : a;
}
float smaller(float a, float b) { return -larger(-a, -b); }

using Partial = std::optional<float>;

float combined(Op reduction, float left, float right) {
  if (reduction == Op::sum) return left + right;
  return reduction == Op::reduce_max ? larger(left, right) : smaller(left, right);
}

/// A branch without an element is skipped: it is not a zero that is added.
Partial combined(Op reduction, Partial left, Partial right) {
  if (left && right) return combined(reduction, *left, *right);
  return left ? left : right;
}

/// Walks the fold over the elements first, first * second, or `n` copies where a vector holds one number.
class RowReduction {
 public:
  RowReduction(const Fold& fold, std::int64_t n) : fold_(fold), n_(n) {
    leaves_ = (n + fold.leaf - 1) / fold.leaf;
    leaves_per_segment_ = (leaves_ + fold.segments - 1) / fold.segments;
  }

  /// Of first, or the sum of the products with `second` when it is given.
  float operator()(Op reduction, const Values& first, const Values* second) const {
    std::vector<Partial> segments(fold_.segments);
    for (int segment = 0; segment < fold_.segments; ++segment)
      segments[segment] = segment_result(reduction, segment, first, second);
    while (segments.size() > 1) {
      for (std::size_t pair = 0; pair < segments.size() / 2; ++pair)
        segments[pair] = combined(reduction, segments[2 * pair], segments[2 * pair + 1]);
      segments.resize(segments.size() / 2);
    }
    return segments[0].value();
  }

 private:
  Partial segment_result(Op reduction, int segment, const Values& first, const Values* second) const {
    std::vector<Partial> lanes(fold_.lanes);
    for (int lane = 0; lane < fold_.lanes; ++lane) lanes[lane] = lane_result(reduction, segment, lane, first, second);
    for (int half = fold_.lanes / 2; half >= 1; half /= 2)
      for (int lane = 0; lane < half; ++lane) lanes[lane] = combined(reduction, lanes[lane], lanes[lane + half]);
    return lanes[0];
  }

  Partial lane_result(Op reduction, int segment, int lane, const Values& first, const Values* second) const {
    Partial chain;
    for (std::int64_t leaf = lane; leaf < leaves_per_segment_; leaf += fold_.lanes) {
      const std::int64_t begin = (segment * leaves_per_segment_ + leaf) * fold_.leaf;
      const std::int64_t end = std::min(begin + fold_.leaf, n_);
      for (std::int64_t element = begin; element < end; ++element) {
        const float value = as_float(at(first, element));
        if (!second)
          chain = chain ? combined(reduction, *chain, value) : value;
        else
          chain = chain ? std::fma(value, as_float(at(*second, element)), *chain) : value * as_float(at(*second, element));
      }
    }
    return chain;
  }

  Fold fold_;
  std::int64_t n_;
  std::int64_t leaves_;
  std::int64_t leaves_per_segment_;
};

/// A scalar operation, on bit patterns.
std::uint32_t operation(const Node& node, bool integers, std::uint32_t a, std::uint32_t b, std::uint32_t c);

/// A function's value, by its definition.
std::uint32_t called(const Function& function, const std::array<std::uint32_t, 3>& arguments) {
  std::array<std::uint32_t, max_function_nodes> values;
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

std::uint32_t operation(const Node& node, bool integers, std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  const float x = as_float(a), y = as_float(b), z = as_float(c);
  switch (node.op) {
    case Op::constant: return as_bits(node.value);
    case Op::integer: return static_cast<std::uint32_t>(node.integer);
    case Op::add: return integers ? a + b : as_bits(x + y);
    case Op::sub: return integers ? a - b : as_bits(x - y);
    case Op::mul: return integers ? a * b : as_bits(x * y);
    case Op::fma: return as_bits(std::fma(x, y, z));
    case Op::div: return as_bits(x / y);
    case Op::sqrt: return as_bits(std::sqrt(x));
    case Op::neg: return a ^ 0x80000000;
    case Op::abs: return a & 0x7fffffff;
    case Op::max: return as_bits(larger(x, y));
    case Op::min: return as_bits(smaller(x, y));
    case Op::less: return integers ? as_int(a) < as_int(b) : x < y;
    case Op::less_equal: return integers ? as_int(a) <= as_int(b) : x <= y;
    case Op::equal: return integers ? a == b : x == y;
    case Op::where: return a != 0 ? b : c;
    case Op::both: return a & b;
    case Op::either: return a | b;
    case Op::shift_left: return a << b;
    case Op::shift_right: return static_cast<std::uint32_t>(as_int(a) >> b);
    case Op::bits: return x != x ? 0x7fffffff : a;
    case Op::from_bits: return a;
    case Op::from_int: return as_bits(static_cast<float>(as_int(a)));
    case Op::round: return as_bits(rounded(x, node.dtype));
    case Op::call: return called(functions()[node.function], {a, b, c});
    default: throw InternalError("the interpreter met an operation that is not one of numbers alone");
  }
}

/// Values of every node for row `token`.
std::vector<Values> evaluate(const Spec& spec, const std::vector<Type>& type, const RowReduction& reduce, std::int64_t token,
                             std::span<const ConstView> inputs) {
  std::vector<Values> values;
  values.reserve(spec.nodes.size());
  for (const Node& node : spec.nodes) {
    if (node.op == Op::input) {
      const Tensor& tensor = spec.inputs[node.tensor];
      const ConstView& view = inputs[node.tensor];
      const std::int64_t first = tensor.extent == Extent::column ? 0 : token * view.row_stride;
      Values row(row_elements(spec, tensor.extent));
      for (std::size_t i = 0; i < row.size(); ++i) row[i] = load(view.data, tensor.dtype, first + static_cast<std::int64_t>(i));
      values.push_back(std::move(row));
    } else if (node.op == Op::index) {
      Values row(spec.n);
      std::iota(row.begin(), row.end(), 0u);
      values.push_back(std::move(row));
    } else if (is_reduction(node.op)) {
      const Node& operand = spec.nodes[node.a];
      const bool products = node.op == Op::sum && operand.op == Op::mul;
      values.push_back({as_bits(products ? reduce(node.op, values[operand.a], &values[operand.b])
                                         : reduce(node.op, values[node.a], nullptr))});
    } else {
      const auto operand = [&](int index, std::int64_t element) { return index < 0 ? 0 : at(values[index], element); };
      std::size_t size = 1;
      for (int index : {node.a, node.b, node.c})
        if (index >= 0) size = std::max(size, values[index].size());
      const bool integers = node.a >= 0 && type[node.a] == Type::i32;
      Values result(size);
      for (std::size_t i = 0; i < size; ++i) {
        const auto element = static_cast<std::int64_t>(i);
        result[i] = operation(node, integers, operand(node.a, element), operand(node.b, element), operand(node.c, element));
      }
      values.push_back(std::move(result));
    }
  }
  return values;
}

/// Not inlined: no arithmetic may move out of the scope of DefaultRounding.
[[gnu::noinline]] void interpret_rows(const Spec& spec, const Fold& fold, std::int64_t tokens,
                                      std::span<const ConstView> inputs, std::span<const View> outputs) {
  const RowReduction reduce(fold, spec.n);
  const std::vector<Type> type = types(spec);
  for (std::int64_t token = 0; token < tokens; ++token) {
    const std::vector<Values> values = evaluate(spec, type, reduce, token, inputs);
    for (std::size_t output = 0; output < outputs.size(); ++output) {
      const Values& result = values[spec.outputs[output].value];
      const std::int64_t first = token * outputs[output].row_stride;
      for (std::int64_t i = 0; i < row_elements(spec, spec.outputs[output].extent); ++i)
        store(outputs[output].data, spec.outputs[output].dtype, first + i, as_float(at(result, i)));
    }
  }
}

}  // namespace

void interpret(const Spec& spec, const Fold& fold, std::int64_t tokens, std::span<const ConstView> inputs,
               std::span<const View> outputs) {
  if (const std::string rule = broken_rule(fold); !rule.empty()) throw UsageError(rule);
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
