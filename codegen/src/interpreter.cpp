#include <isofold/codegen/interpreter.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cfenv>
#include <cmath>
#include <cstring>
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

/// The value of a node: one number for the whole row, or one for each element.
using Values = std::vector<float>;

float at(const Values& values, std::int64_t element) {
  return values.size() == 1 ? values[0] : values[element];
}

float load(const void* data, DType dtype, std::int64_t element) {
  if (dtype == DType::f32) return static_cast<const float*>(data)[element];
  const std::uint16_t bits = static_cast<const std::uint16_t*>(data)[element];
  return dtype == DType::bf16 ? from_bf16(bits) : from_f16(bits);
}

void store(void* data, DType dtype, std::int64_t element, float value) {
  if (dtype == DType::f32) {
    constexpr std::uint32_t canonical_nan = 0x7fffffff;
    const std::uint32_t bits = value != value ? canonical_nan : std::bit_cast<std::uint32_t>(value);
    std::memcpy(static_cast<std::uint32_t*>(data) + element, &bits, sizeof bits);
  } else {
    static_cast<std::uint16_t*>(data)[element] = dtype == DType::bf16 ? to_bf16(value) : to_f16(value);
  }
}

float rounded(float value, DType dtype) {
  if (dtype == DType::f32) return value;
  return dtype == DType::bf16 ? from_bf16(to_bf16(value)) : from_f16(to_f16(value));
}

using Partial = std::optional<float>;

/// A branch without an element is skipped: it is not a zero that is added.
Partial combined(Partial left, Partial right) {
  if (left && right) return *left + *right;
  return left ? left : right;
}

/// Walks the fold over the elements first, first * second, or `n` copies where a vector holds one number.
class RowSum {
 public:
  RowSum(const Fold& fold, std::int64_t n) : fold_(fold), n_(n) {
    leaves_ = (n + fold.leaf - 1) / fold.leaf;
    leaves_per_segment_ = (leaves_ + fold.segments - 1) / fold.segments;
  }

  /// Sum of first, or of the products with `second` when it is given.
  float operator()(const Values& first, const Values* second) const {
    std::vector<Partial> segments(fold_.segments);
    for (int segment = 0; segment < fold_.segments; ++segment)
      segments[segment] = segment_sum(segment, first, second);
    while (segments.size() > 1) {
      for (std::size_t pair = 0; pair < segments.size() / 2; ++pair)
        segments[pair] = combined(segments[2 * pair], segments[2 * pair + 1]);
      segments.resize(segments.size() / 2);
    }
    return segments[0].value();
  }

 private:
  Partial segment_sum(int segment, const Values& first, const Values* second) const {
    std::vector<Partial> lanes(fold_.lanes);
    for (int lane = 0; lane < fold_.lanes; ++lane) lanes[lane] = lane_sum(segment, lane, first, second);
    for (int half = fold_.lanes / 2; half >= 1; half /= 2)
      for (int lane = 0; lane < half; ++lane) lanes[lane] = combined(lanes[lane], lanes[lane + half]);
    return lanes[0];
  }

  Partial lane_sum(int segment, int lane, const Values& first, const Values* second) const {
    Partial chain;
    for (std::int64_t leaf = lane; leaf < leaves_per_segment_; leaf += fold_.lanes) {
      const std::int64_t begin = (segment * leaves_per_segment_ + leaf) * fold_.leaf;
      const std::int64_t end = std::min(begin + fold_.leaf, n_);
      for (std::int64_t element = begin; element < end; ++element) {
        const float value = at(first, element);
        if (!second)
          chain = chain ? *chain + value : value;
        else
          chain = chain ? std::fma(value, at(*second, element), *chain) : value * at(*second, element);
      }
    }
    return chain;
  }

  Fold fold_;
  std::int64_t n_;
  std::int64_t leaves_;
  std::int64_t leaves_per_segment_;
};

template <class Function>
Values map(const Function& function, const Values& a) {
  Values result(a.size());
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = function(a[i]);
  return result;
}

template <class Function>
Values map(const Function& function, const Values& a, const Values& b) {
  Values result(std::max(a.size(), b.size()));
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = function(at(a, i), at(b, i));
  return result;
}

Values map_fma(const Values& a, const Values& b, const Values& c) {
  Values result(std::max({a.size(), b.size(), c.size()}));
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = std::fma(at(a, i), at(b, i), at(c, i));
  return result;
}

/// Values of every node for row `token`.
std::vector<Values> evaluate(const Spec& spec, const RowSum& row_sum, std::int64_t token,
                             std::span<const ConstView> inputs) {
  std::vector<Values> values;
  values.reserve(spec.nodes.size());
  for (const Node& node : spec.nodes) {
    const auto operand = [&](int index) -> const Values& { return values[index]; };
    switch (node.op) {
      case Op::input: {
        const Tensor& tensor = spec.inputs[node.tensor];
        const ConstView& view = inputs[node.tensor];
        const std::int64_t first = tensor.extent == Extent::row ? token * view.row_stride : 0;
        Values row(spec.n);
        for (std::int64_t i = 0; i < spec.n; ++i) row[i] = load(view.data, tensor.dtype, first + i);
        values.push_back(std::move(row));
        break;
      }
      case Op::constant:
        values.push_back({node.value});
        break;
      case Op::add:
        values.push_back(map([](float a, float b) { return a + b; }, operand(node.a), operand(node.b)));
        break;
      case Op::mul:
        values.push_back(map([](float a, float b) { return a * b; }, operand(node.a), operand(node.b)));
        break;
      case Op::fma:
        values.push_back(map_fma(operand(node.a), operand(node.b), operand(node.c)));
        break;
      case Op::div:
        values.push_back(map([](float a, float b) { return a / b; }, operand(node.a), operand(node.b)));
        break;
      case Op::sqrt:
        values.push_back(map([](float a) { return std::sqrt(a); }, operand(node.a)));
        break;
      case Op::round:
        values.push_back(map([&](float a) { return rounded(a, node.dtype); }, operand(node.a)));
        break;
      case Op::sum: {
        const Node& summand = spec.nodes[node.a];
        if (summand.op == Op::mul)
          values.push_back({row_sum(operand(summand.a), &operand(summand.b))});
        else
          values.push_back({row_sum(operand(node.a), nullptr)});
        break;
      }
    }
  }
  return values;
}

/// Not inlined: no arithmetic may move out of the scope of DefaultRounding.
[[gnu::noinline]] void interpret_rows(const Spec& spec, const Fold& fold, std::int64_t tokens,
                                      std::span<const ConstView> inputs, std::span<const View> outputs) {
  const RowSum row_sum(fold, spec.n);
  for (std::int64_t token = 0; token < tokens; ++token) {
    const std::vector<Values> values = evaluate(spec, row_sum, token, inputs);
    for (std::size_t output = 0; output < outputs.size(); ++output) {
      const Values& result = values[spec.outputs[output].value];
      const std::int64_t first = token * outputs[output].row_stride;
      for (std::int64_t i = 0; i < spec.n; ++i)
        store(outputs[output].data, spec.outputs[output].dtype, first + i, at(result, i));
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
