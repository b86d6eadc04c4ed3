#include "accuracy_rows.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "element.hpp"
#include "raw_rows.hpp"

using namespace isofold;
using namespace isofold::testing;
using namespace isofold::tools;

namespace {

std::vector<double> drawn_row(const char* op, DType dtype, RowData data, std::size_t tensor = 0) {
  const Spec spec = named_spec(op, 1000, dtype);
  const Bytes bytes = draw_inputs(spec, data, 3, 1)[tensor];
  std::vector<double> row(static_cast<std::size_t>(row_elements(spec, spec.inputs[tensor].extent)));
  for (std::size_t i = 0; i < row.size(); ++i)
    row[i] =
        static_cast<double>(element(bytes.data(), spec.inputs[tensor].dtype, static_cast<std::int64_t>(i)));
  return row;
}

double mean_of(const std::vector<double>& row) {
  double sum = 0;
  for (const double value : row) sum += value;
  return sum / static_cast<double>(row.size());
}

bool offers(const char* op, RowData data) {
  const std::vector<RowData> all = row_data_for(named_spec(op, 64, DType::bf16));
  return std::find(all.begin(), all.end(), data) != all.end();
}

}  // namespace

TEST_CASE("rows are what their name says") {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    CHECK(std::abs(mean_of(drawn_row("sum", dtype, RowData::normal))) < 0.15);
    CHECK(mean_of(drawn_row("sum", dtype, RowData::offset)) == doctest::Approx(1e3).epsilon(0.01));
    CHECK(mean_of(drawn_row("sum", dtype, RowData::large_offset)) == doctest::Approx(1e4).epsilon(0.01));
    const std::vector<double> ties = drawn_row("softmax", dtype, RowData::near_ties);
    CHECK(std::set<double>(ties.begin(), ties.end()).size() == 4);
    const auto [least, most] = std::minmax_element(ties.begin(), ties.end());
    CHECK(*most - *least <= 3 * static_cast<double>(unit_in_last_place(dtype, *most)));
    const std::vector<double> wide = drawn_row("softmax", dtype, RowData::wide_range);
    CHECK(*std::min_element(wide.begin(), wide.end()) < -80);
    CHECK(*std::max_element(wide.begin(), wide.end()) > 5);
  }
  CHECK(std::abs(mean_of(drawn_row("sum", DType::f32, RowData::cancelling))) < 0.1);
  double largest = 0;
  for (const double value : drawn_row("sum", DType::f32, RowData::cancelling))
    largest = std::max(largest, std::abs(value));
  CHECK(largest > 1000);
}

TEST_CASE("the other inputs are ordinary") {
  CHECK(std::abs(mean_of(drawn_row("layer_norm", DType::f32, RowData::large_offset, 1))) < 0.15);
  const double target = drawn_row("cross_entropy", DType::f32, RowData::normal, 1)[0];
  CHECK(target >= 1);
  CHECK(target < 1000);
  // A sink beside rows of 16 bits is a number of that dtype.
  const double sink = drawn_row("sink_softmax", DType::bf16, RowData::normal, 1)[0];
  CHECK(sink == from_bf16(to_bf16(static_cast<float>(sink))));
}

TEST_CASE("the same seed gives the same rows, another one others") {
  const Spec spec = named_spec("add_rms_norm", 100, DType::bf16);
  CHECK(draw_inputs(spec, RowData::normal, 5, 1) == draw_inputs(spec, RowData::normal, 5, 1));
  CHECK(draw_inputs(spec, RowData::normal, 5, 1) != draw_inputs(spec, RowData::normal, 5, 2));
}

TEST_CASE("what is hard for an operator is among its rows") {
  CHECK(offers("layer_norm", RowData::large_offset));
  CHECK(offers("sum", RowData::cancelling));
  CHECK(offers("softmax", RowData::near_ties));
  CHECK(offers("cross_entropy", RowData::wide_range));
  CHECK(offers("rms_norm", RowData::magnitudes));
  for (const NamedOperator& named : named_operators()) CHECK(offers(named.name.data(), RowData::normal));
}
