#include "result_error.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "accuracy_rows.hpp"
#include "element.hpp"
#include "exact_results.hpp"
#include "raw_rows.hpp"
#include "row_pool.hpp"

using namespace isofold;
using namespace isofold::testing;
using namespace isofold::tools;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();

double error_of(long double exact, float actual) {
  return result_error(DType::f32, 1, ErrorUnit::of_element, std::vector{exact}, bytes_of({actual}).data())
      .largest;
}

/// Error of the first output when `computed` is what runs and `asked` what was asked, over 16 rows.
ResultError error_of(const Spec& asked, const Spec& computed, RowData data) {
  const auto inputs = draw_inputs(asked, data, 16, 1);
  const Output& output = asked.outputs[0];
  return result_error(output.dtype, row_elements(asked, output.extent), error_unit(asked, output),
                      exact_results(asked, 16, inputs)[0], interpreted(computed, 16, inputs)[0].data());
}

}  // namespace

TEST_CASE("units in the last place") {
  CHECK(unit_in_last_place(DType::f32, 1) == 0x1p-23L);
  CHECK(unit_in_last_place(DType::f32, 1.99L) == 0x1p-23L);
  CHECK(unit_in_last_place(DType::bf16, 2) == 0x1p-6L);
  CHECK(unit_in_last_place(DType::f16, 0) == 0x1p-24L);
  CHECK(unit_in_last_place(DType::bf16, 1e-45L) == 0x1p-133L);
  CHECK(unit_in_last_place(DType::f16, 1e9L) == 32);
  CHECK(overflow_threshold(DType::f16) == 65520);
  CHECK(unit_in_last_place(DType::f64, 1) == 0x1p-52L);
}

TEST_CASE("errors are counted in units of the exact result") {
  CHECK(error_of(1, 1) == 0);
  CHECK(error_of(1, std::nextafter(1.0f, 2.0f)) == 1);
  CHECK(error_of(1 + 0x1p-24L, 1) == 0.5);
  CHECK(error_of(0, 0x1p-149f) == 1);
}

TEST_CASE("NaN and infinity are right or infinitely wrong") {
  CHECK(error_of(std::nanl(""), nan_value) == 0);
  CHECK(std::isinf(error_of(1, nan_value)));
  CHECK(std::isinf(error_of(std::nanl(""), 1)));
  CHECK(error_of(1e39L, infinity) == 0);
  CHECK(std::isinf(error_of(-1e39L, infinity)));
  CHECK(std::isinf(error_of(1e38L, infinity)));
  CHECK(std::isinf(error_of(std::numeric_limits<long double>::infinity(), 3e38f)));
}

TEST_CASE("a result that is rounded once is within half a unit") {
  Random random(7);
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    std::vector<long double> exact;
    Bytes rounded(4 * 10000);
    for (std::int64_t i = 0; i < 10000; ++i) {
      exact.push_back(std::ldexp(1 + static_cast<double>(random.below(1 << 20)) * 0x1p-20,
                                 static_cast<int>(random.below(40)) - 30));
      put_element(rounded.data(), dtype, i, static_cast<double>(exact.back()));
    }
    const ResultError error = result_error(dtype, 10000, ErrorUnit::of_element, exact, rounded.data());
    CHECK(error.largest <= 0.5);
    if (dtype != DType::f32) CHECK(error.mean > 0.2);
  }
}

TEST_CASE("of quantised results the error of scale x y is counted in steps") {
  const auto error = [](DType dtype, std::vector<long double> exact, const std::vector<float>& y, long double exact_scale, float scale) {
    Bytes stored(y.size());
    for (std::size_t i = 0; i < y.size(); ++i) put_element(stored.data(), dtype, static_cast<std::int64_t>(i), y[i]);
    const std::vector<long double> exact_scales{exact_scale};
    const Bytes scales = bytes_of({scale});
    return quantised_error(dtype, static_cast<std::int64_t>(y.size()), exact, stored.data(), RowScales{exact_scales, scales.data()});
  };
  CHECK(error(DType::i8, {3.25L, -127}, {3, -127}, 0.5L, 0.5f).largest == 0.25);
  CHECK(error(DType::i8, {300, -300}, {127, -128}, 0.5L, 0.5f).largest == 0);  // out of range
  CHECK(error(DType::i8, {100}, {100}, 1, 1.0078125f).largest == doctest::Approx(0.78125));  // the scale is wrong
  CHECK(error(DType::e4m3, {17}, {16}, 2, 2).largest == 0.5);  // of 2, the step from 16 to 32
  CHECK(error(DType::e4m3, {0x1p-10L}, {0}, 2, 2).largest == 0.5);
  CHECK(error(DType::e4m3, {1000}, {448}, 2, 2).largest == 0);
  CHECK(std::isinf(error(DType::e4m3, {1}, {nan_value}, 2, 2).largest));
  CHECK(std::isinf(error(DType::i8, {1}, {1}, 2, nan_value).largest));
  const Bytes y = {std::byte{3}};
  CHECK(quantised_error(DType::i8, 1, std::vector<long double>{3.5L}, y.data(), std::nullopt).largest == 0.5);
}

TEST_CASE("largest, worst hundredth and mean of 200 errors") {
  std::vector<long double> exact(200, 1);
  std::vector<float> actual(200, 1);
  actual[3] = 1 + 0x1p-21f;    // 4 ulp
  actual[150] = 1 + 0x1p-22f;  // 2 ulp
  actual[199] = 1 + 0x1p-23f;
  const ResultError error =
      result_error(DType::f32, 200, ErrorUnit::of_element, exact, bytes_of(actual).data());
  CHECK(error.largest == 4);
  CHECK(error.worst_hundredth == 3);
  CHECK(error.mean == doctest::Approx(7.0 / 200));
}

TEST_CASE("of a difference the error is counted in the unit of the largest result of its row") {
  const std::vector<long double> exact = {1, 0x1p-30L, 100, 0x1p-30L};
  const Bytes actual = bytes_of({1, 0x1p-24f, 100, 0});
  CHECK(result_error(DType::f32, 2, ErrorUnit::of_row, exact, actual.data()).largest ==
        doctest::Approx(0.5).epsilon(0.1));
  CHECK(result_error(DType::f32, 2, ErrorUnit::of_element, exact, actual.data()).largest > 1e8);
  // One number a row: all rows together.
  CHECK(result_error(DType::f32, 1, ErrorUnit::of_row, exact, actual.data()).largest < 0.01);
}

TEST_CASE("never worse: the worst hundredth and the mean, but for noise") {
  CHECK(never_worse({0.5, 0.5, 0.25}, {0.5, 0.5, 0.25}));
  CHECK(never_worse({2, 1.04, 0.25}, {1.5, 1, 0.25}));
  CHECK_FALSE(never_worse({1, 1.06, 0.25}, {2, 1, 0.25}));
  CHECK_FALSE(never_worse({1, 1, 0.3}, {1, 1, 0.25}));
  CHECK(never_worse({0.5, 0.5, 0.009}, {0.5, 0.5, 0}));
  constexpr double far = std::numeric_limits<double>::infinity();
  CHECK_FALSE(never_worse({far, far, far}, {9, 9, 9}));
}

TEST_CASE("a layer norm that subtracts squares is found out by offsets") {
  const Spec good = named_spec("layer_norm", 500, DType::f32);
  const Spec bad = parse_spec(
      "layer_norm N=500 (x: f32[row], weight: f32[column], bias: f32[column]) { mean = div(sum(x), N); "
      "variance = sub(div(sum(mul(x, x)), N), mul(mean, mean)); r = div(1, sqrt(add(max(variance, 0), "
      "1e-05))); "
      "y: f32 = fma(mul(sub(x, mean), r), weight, bias) }");
  CHECK(error_of(good, good, RowData::normal).largest < 8);
  CHECK(error_of(good, bad, RowData::normal).largest < 20);
  const ResultError right = error_of(good, good, RowData::offset),
                    wrong = error_of(good, bad, RowData::offset);
  CHECK(wrong.mean > 20 * right.mean);
  CHECK_FALSE(never_worse(wrong, right));
}

TEST_CASE("a softmax that does not take the maximum off is found out by ties of large numbers") {
  const Spec good = named_spec("softmax", 300, DType::f32);
  const Spec bad =
      parse_spec("softmax N=300 (x: f32[row]) { power = exp(x); y: f32 = div(power, sum(power)) }");
  CHECK(error_of(good, good, RowData::near_ties).largest < 4);
  CHECK(error_of(good, bad, RowData::normal).largest < 4);
  CHECK(std::isinf(error_of(good, bad, RowData::near_ties).largest));
}
