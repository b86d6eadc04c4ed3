#include <isofold/codegen/interpreter.hpp>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/error.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <bit>
#include <cfenv>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "support/call.hpp"
#include "support/random.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace isofold;
using isofold::testing::Call;
using isofold::testing::Random;
using isofold::testing::RowKind;

namespace {

std::uint32_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }

/// The row's sum of `summand`, as a spec with one output that holds it in every element (x + -0.0 is x for
/// all x).
Spec sum_spec(std::int64_t n, std::string_view summand) {
  return parse_spec(
      fmt::format("tree N={} (x: f32[row], minus_zero: f32[column]) {{ total = sum({}); y: f32 = "
                  "add(minus_zero, total) }}",
                  n, summand));
}

float sum_of(const std::vector<float>& x, const Fold& fold, std::string_view summand = "x") {
  const Spec spec = sum_spec(static_cast<std::int64_t>(x.size()), summand);
  const std::vector<float> minus_zero(x.size(), -0.0f);
  std::vector<float> y(x.size());
  const std::vector<ConstView> inputs{{x.data(), 0}, {minus_zero.data(), 0}};
  const std::vector<View> outputs{{y.data(), 0}};
  interpret(spec, fold, 1, inputs, outputs);
  for (float value : y) CHECK(bits_of(value) == bits_of(y[0]));
  return y[0];
}

std::vector<float> row_of(RowKind kind, std::int64_t n, std::uint64_t seed) {
  std::vector<float> row(static_cast<std::size_t>(n));
  isofold::testing::fill_row(kind, DType::f32, row.data(), n, seed);
  return row;
}

struct HandTree {
  Fold fold;
  std::int64_t n;
  std::function<float(const std::vector<float>&)> sum;
};

}  // namespace

TEST_CASE("the order of a large and a small number follows the fold") {
  const std::vector<float> x{0x1p24f, 1, -0x1p24f, 1};
  CHECK(sum_of(x, {.leaf = 4, .lanes = 1, .segments = 1}) == 1);  // ((2^24 + 1) - 2^24) + 1
  CHECK(sum_of(x, {.leaf = 1, .lanes = 1, .segments = 1}) == 1);
  CHECK(sum_of(x, {.leaf = 1, .lanes = 2, .segments = 1}) == 2);  // (2^24 - 2^24) + (1 + 1)
  CHECK(sum_of(x, {.leaf = 1, .lanes = 4, .segments = 1}) == 2);  // halving: 0 with 2, 1 with 3
  CHECK(sum_of(x, {.leaf = 1, .lanes = 1, .segments = 4}) == 1);  // adjacent: (2^24 + 1) + (-2^24 + 1)
  CHECK(sum_of(x, {.leaf = 2, .lanes = 2, .segments = 1}) == 1);
}

TEST_CASE("small trees, written by hand") {
  using Row = const std::vector<float>&;
  const std::vector<HandTree> trees{
      {{2, 2, 2}, 8, [](Row x) { return ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7])); }},
      {{2, 2, 2}, 7, [](Row x) { return ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + x[6]); }},
      {{1, 4, 1}, 6, [](Row x) { return ((x[0] + x[4]) + x[2]) + ((x[1] + x[5]) + x[3]); }},
      {{1, 4, 1}, 3, [](Row x) { return (x[0] + x[2]) + x[1]; }},
      {{1, 8, 1}, 2, [](Row x) { return x[0] + x[1]; }},
      {{1, 1, 4}, 5, [](Row x) { return ((x[0] + x[1]) + (x[2] + x[3])) + x[4]; }},
      {{2, 2, 4},
       9,
       [](Row x) { return (((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]))) + x[8]; }},
      {{1, 2, 2}, 8, [](Row x) { return ((x[0] + x[2]) + (x[1] + x[3])) + ((x[4] + x[6]) + (x[5] + x[7])); }},
      {{2, 2, 1}, 8, [](Row x) { return (((x[0] + x[1]) + x[4]) + x[5]) + (((x[2] + x[3]) + x[6]) + x[7]); }},
      {{4, 2, 1},
       11,
       [](Row x) {
         const float lane0 = (((((x[0] + x[1]) + x[2]) + x[3]) + x[8]) + x[9]) + x[10];
         return lane0 + (((x[4] + x[5]) + x[6]) + x[7]);
       }},
      {{1, 1, 8}, 6, [](Row x) { return ((x[0] + x[1]) + (x[2] + x[3])) + (x[4] + x[5]); }},
  };
  for (const HandTree& tree : trees)
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
      const std::vector<float> x = row_of(RowKind::mixed_scale, tree.n, seed);
      CAPTURE(text(tree.fold));
      CAPTURE(tree.n);
      CHECK(bits_of(sum_of(x, tree.fold)) == bits_of(tree.sum(x)));
    }
}

TEST_CASE("a sum of products is a product and then a chain of fused multiply-adds") {
  using Row = const std::vector<float>&;
  const std::vector<HandTree> trees{
      {{4, 1, 1}, 3, [](Row x) { return std::fma(x[2], x[2], std::fma(x[1], x[1], x[0] * x[0])); }},
      {{2, 2, 1},
       5,
       [](Row x) {
         const float lane0 = std::fma(x[4], x[4], std::fma(x[1], x[1], x[0] * x[0]));
         return lane0 + std::fma(x[3], x[3], x[2] * x[2]);
       }},
      {{1, 2, 2}, 4, [](Row x) { return (x[0] * x[0] + x[1] * x[1]) + (x[2] * x[2] + x[3] * x[3]); }},
  };
  int fused_differs = 0;
  for (const HandTree& tree : trees)
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
      const std::vector<float> x = row_of(RowKind::normal, tree.n, seed);
      CAPTURE(text(tree.fold));
      const float total = sum_of(x, tree.fold, "mul(x, x)");
      CHECK(bits_of(total) == bits_of(tree.sum(x)));
      // A rounding of the product first is another sum: add(mul, +0.0) keeps every square's bits.
      fused_differs += bits_of(total) != bits_of(sum_of(x, tree.fold, "add(mul(x, x), 0)"));
    }
  CHECK(fused_differs > 0);
}

TEST_CASE("a skipped lane or segment adds nothing: rows of -0.0 sum to -0.0") {
  for (std::int64_t n : {1, 2, 3, 5, 9, 17, 100})
    for (const Fold& fold :
         {Fold{1, 1, 1}, Fold{8, 32, 1}, Fold{8, 32, 4}, Fold{1, 4, 64}, Fold{4, 1024, 2}}) {
      CAPTURE(n);
      CAPTURE(text(fold));
      CHECK(bits_of(sum_of(std::vector<float>(static_cast<std::size_t>(n), -0.0f), fold)) == 0x80000000u);
    }
}

TEST_CASE("every stored NaN is canonical") {
  for (DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    const std::string name(name_of(dtype));
    const Spec spec =
        parse_spec(fmt::format("copy N=64 (x: {0}[row]) {{ total = sum(x); y: f32 = x; brain: bf16 = x; "
                               "half: f16 = x; z: f32 = add(x, total) }}",
                               name));
    Call call(spec, {1, 1, 1}, {.tokens = 180});
    for (const isofold::testing::HostTensor& output : call.expected()) {
      const std::uint32_t canonical = output.dtype() == DType::f32 ? 0x7fffffff : 0x7fff;
      const std::uint32_t infinity = output.dtype() == DType::f16    ? 0x7c00
                                     : output.dtype() == DType::bf16 ? 0x7f80
                                                                     : 0x7f800000;
      const std::uint32_t magnitude = output.dtype() == DType::f32 ? 0x7fffffff : 0x7fff;
      int count = 0;
      for (std::int64_t row = 0; row < output.rows(); ++row)
        for (std::int64_t i = 0; i < output.n(); ++i)
          if ((output.bits(row, i) & magnitude) > infinity) {
            ++count;
            CHECK(output.bits(row, i) == canonical);
          }
      CHECK(count > 0);
    }
  }
}

TEST_CASE("rms_norm means what its options say") {
  const std::int64_t n = 5;
  const auto rounded = [](float value, DType dtype) {
    return dtype == DType::f32    ? value
           : dtype == DType::bf16 ? from_bf16(to_bf16(value))
                                  : from_f16(to_f16(value));
  };
  const auto element = [](const isofold::testing::HostTensor& tensor, std::int64_t i) {
    const std::uint32_t bits = tensor.bits(0, i);
    if (tensor.dtype() == DType::f32) return std::bit_cast<float>(bits);
    return tensor.dtype() == DType::bf16 ? from_bf16(static_cast<std::uint16_t>(bits))
                                         : from_f16(static_cast<std::uint16_t>(bits));
  };
  for (DType x_dtype : {DType::f32, DType::bf16, DType::f16})
    for (DType other : {DType::f32, DType::bf16, DType::f16})
      for (int bits = 0; bits < 32; ++bits) {
        const RmsNormOptions options{
            .n = n,
            .dtype = x_dtype,
            .output_dtype = other,
            .weight = (bits & 1) != 0,
            .weight_dtype = other,
            .weight_mode = bits & 2 ? WeightMode::after_cast : WeightMode::f32,
            .weight_offset_one = (bits & 4) != 0,
            .residual = (bits & 8) != 0,
            .residual_dtype = other,
            .residual_mode = bits & 16 ? ResidualMode::rounded_sum : ResidualMode::f32_sum,
            .eps = 1e-3f};
        const Spec spec = rms_norm(options);
        CAPTURE(text(spec));
        Call call(spec, {1, 1, 1}, {.seed = static_cast<std::uint64_t>(bits), .ordinary_rows = true});
        std::vector<float> h;
        for (std::int64_t i = 0; i < n; ++i) {
          float value = element(call.inputs()[0], i);
          if (options.residual) {
            value = value + element(call.inputs()[1], i);
            CHECK(rounded(value, other) == element(call.expected()[1], i));
            if (options.residual_mode == ResidualMode::rounded_sum) value = rounded(value, other);
          }
          h.push_back(value);
        }
        float total = h[0] * h[0];
        for (std::int64_t i = 1; i < n; ++i)
          total = std::fma(h[static_cast<std::size_t>(i)], h[static_cast<std::size_t>(i)], total);
        const float v = total / 5.0f + 1e-3f;
        const float r = other == DType::f32 ? static_cast<float>(1 / std::sqrt(static_cast<double>(v))) : 1.0f / std::sqrt(v);
        for (std::int64_t i = 0; i < n; ++i) {
          float y = h[static_cast<std::size_t>(i)] * r;
          if (options.weight) {
            if (options.weight_mode == WeightMode::after_cast) y = rounded(y, other);
            const float weight = element(call.inputs().back(), i);
            y = y * (options.weight_offset_one ? weight + 1.0f : weight);
          }
          CHECK(rounded(y, other) == element(call.expected()[0], i));
        }
      }
}

TEST_CASE("outputs may be the inputs' own buffers") {
  const Spec spec = rms_norm({.n = 37, .residual = true});
  const Fold fold = default_fold(spec);
  Call call(spec, fold, {.tokens = 20, .stride_padding = 3});
  auto& in = call.inputs();
  const std::vector<View> in_place{in[0].view(), in[1].view()};
  interpret(spec, fold, call.tokens(), call.input_views(), in_place);
  CHECK(difference(in[0], call.expected()[0]) == "");
  CHECK(difference(in[1], call.expected()[1]) == "");
  CHECK(in[0].broken_canary() == "");
}

TEST_CASE("nothing outside the rows is written") {
  const Spec spec = rms_norm({.n = 13, .dtype = DType::f16, .residual = true});
  Call call(spec, default_fold(spec), {.tokens = 9, .offset = 5, .stride_padding = 4});
  const std::vector<View> outputs = call.output_views();
  interpret(spec, default_fold(spec), call.tokens(), call.input_views(), outputs);
  CHECK(call.fault() == "");
}

TEST_CASE("a row does not depend on the rows beside it") {
  const Spec spec = rms_norm({.n = 100});
  const Fold fold = default_fold(spec);
  Call call(spec, fold, {.tokens = 18});
  for (std::int64_t row = 0; row < 18; ++row) {
    std::vector<std::uint16_t> alone(100);
    const std::vector<ConstView> inputs{{call.inputs()[0].row(row), 0}, call.inputs()[1].const_view()};
    const std::vector<View> outputs{{alone.data(), 0}};
    interpret(spec, fold, 1, inputs, outputs);
    for (std::int64_t i = 0; i < 100; ++i)
      CHECK(alone[static_cast<std::size_t>(i)] == call.expected()[0].bits(row, i));
  }
}

#if defined(__x86_64__)
TEST_CASE("the caller's rounding mode and flush bits change nothing and are kept") {
  const Spec spec = rms_norm({.n = 70, .dtype = DType::f32, .residual = true});
  Call call(spec, default_fold(spec), {.tokens = 27});
  const unsigned before = _mm_getcsr();
  for (unsigned mode :
       {0x9fc0u, 0x3f80u, 0x5f80u, 0xffc0u}) {  // flush to zero, down, up, truncate with flush
    call.reset_outputs();
    const std::vector<View> outputs = call.output_views();
    _mm_setcsr(mode);
    interpret(spec, default_fold(spec), call.tokens(), call.input_views(), outputs);
    const unsigned after = _mm_getcsr();
    _mm_setcsr(before);
    CHECK((after & ~0x3fu) == (mode & ~0x3fu));  // the low six bits only record what happened
    CHECK(call.fault() == "");
  }
}
#endif

TEST_CASE("arguments that cannot be meant are named") {
  const Spec spec = rms_norm({.n = 4});
  const std::vector<ConstView> none;
  const std::vector<View> outputs(1);
  const std::vector<ConstView> inputs(2);
  CHECK_THROWS_WITH_AS(interpret(spec, {1, 1, 1}, 1, none, outputs),
                       "rms_norm has 2 inputs and 1 outputs; 0 and 1 were passed", UsageError);
  CHECK_THROWS_WITH_AS(interpret(spec, {1, 1, 1}, -1, inputs, outputs), "tokens is -1; it must be 0 or more",
                       UsageError);
  CHECK_THROWS_AS(interpret(spec, {3, 1, 1}, 1, inputs, outputs), UsageError);
  CHECK_NOTHROW(interpret(spec, {1, 1, 1}, 0, inputs, outputs));
}
