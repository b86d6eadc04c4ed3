#include "accuracy_rows.hpp"

#include <isofold/codegen/functions.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

#include "element.hpp"
#include "exact_results.hpp"
#include "row_pool.hpp"

namespace isofold::tools {
namespace {

/// From 0 to 1.
double even(Random& random) { return static_cast<double>(random.bits() >> 11) * 0x1p-53; }

/// The sum of twelve even numbers: near enough to normal, and exact on every machine.
double normal(Random& random) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += even(random);
  return sum;
}

double of_any_magnitude(Random& random) {
  const auto exponent = static_cast<int>(random.below(24)) - 12;
  const double value = std::ldexp(1 + even(random), exponent);
  return random.below(2) == 0 ? value : -value;
}

double drawn(RowData data, Random& random) {
  switch (data) {
    case RowData::offset:
      return 1e3 + normal(random);
    case RowData::large_offset:
      return 1e4 + normal(random);
    case RowData::magnitudes:
      return of_any_magnitude(random);
    case RowData::wide_range:
      return 100 * even(random) - 90;
    default:
      return normal(random);
  }
}

/// Rows whose elements depend on each other.
void fill_row(RowData data, DType dtype, std::int64_t n, Random& random, std::byte* row) {
  if (data == RowData::near_ties) {
    const double first = std::ldexp(1 + even(random), static_cast<int>(random.below(13)));
    const double step = dtype == DType::i8 ? 1 : static_cast<double>(unit_in_last_place(dtype, first));
    for (std::int64_t i = 0; i < n; ++i)
      put_element(row, dtype, i, first + step * static_cast<double>(random.below(4)));
    return;
  }
  if (data == RowData::cancelling) {
    std::vector<double> values;
    while (values.size() < static_cast<std::size_t>(n)) {
      const double value = of_any_magnitude(random);
      values.push_back(value);
      values.push_back(-value + 0x1p-10 * normal(random));
    }
    values.resize(static_cast<std::size_t>(n));
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.below(i)]);
    for (std::int64_t i = 0; i < n; ++i) put_element(row, dtype, i, values[static_cast<std::size_t>(i)]);
    return;
  }
  for (std::int64_t i = 0; i < n; ++i) put_element(row, dtype, i, drawn(data, random));
}

bool has_powers(const Spec& spec) {
  return std::any_of(spec.nodes.begin(), spec.nodes.end(), [](const Node& node) {
    return node.op == Op::call &&
           functions()[static_cast<std::size_t>(node.function)].name.starts_with("exp");
  });
}

}  // namespace

std::string_view name_of(RowData data) {
  switch (data) {
    case RowData::normal:
      return "normal";
    case RowData::offset:
      return "offset 1e3";
    case RowData::large_offset:
      return "offset 1e4";
    case RowData::magnitudes:
      return "2^-12 to 2^12";
    case RowData::cancelling:
      return "cancelling";
    case RowData::near_ties:
      return "near-ties";
    case RowData::wide_range:
      break;
  }
  return "wide range";
}

std::vector<RowData> row_data_for(const Spec& spec) {
  if (has_powers(spec)) return {RowData::normal, RowData::near_ties, RowData::wide_range};
  const bool differences = std::any_of(spec.outputs.begin(), spec.outputs.end(),
                                       [&](const Output& output) { return may_cancel(spec, output.value); });
  if (differences)
    return {RowData::normal, RowData::offset, RowData::large_offset, RowData::magnitudes,
            RowData::cancelling};
  return {RowData::normal, RowData::large_offset, RowData::magnitudes};
}

std::vector<std::vector<std::byte>> draw_inputs(const Spec& spec, RowData data, std::int64_t rows,
                                                std::uint64_t seed) {
  std::vector<std::vector<std::byte>> inputs;
  const Tensor* first_row = nullptr;
  for (const Tensor& tensor : spec.inputs)
    if (!first_row && tensor.extent == Extent::row) first_row = &tensor;
  const DType dtype_of_rows = first_row ? first_row->dtype : DType::f32;
  for (const Tensor& tensor : spec.inputs) {
    const std::int64_t length = row_elements(spec, tensor.extent), held = rows_held(tensor, rows);
    const std::size_t row_bytes = size_of(tensor.dtype) * static_cast<std::size_t>(length);
    std::vector<std::byte>& bytes = inputs.emplace_back(row_bytes * static_cast<std::size_t>(held));
    Random random(seed * 64 + inputs.size());
    for (std::int64_t row = 0; row < held; ++row) {
      std::byte* place = bytes.data() + static_cast<std::size_t>(row) * row_bytes;
      if (tensor.dtype == DType::i32)
        for (std::int64_t i = 0; i < length; ++i)
          put_element(
              place, tensor.dtype, i,
              spec.n > 1 ? 1 + static_cast<double>(random.below(static_cast<std::uint64_t>(spec.n) - 1)) : 0);
      else if (tensor.extent == Extent::scalar)
        put_element(place, tensor.dtype, 0, 0x1p-5 * (1 + even(random)));
      else
        fill_row(&tensor == first_row ? data : RowData::normal, tensor.dtype, length, random, place);
      // One number per token is one of the rows' dtype: whoever computes in that has it unrounded, too.
      if (tensor.extent == Extent::token && tensor.dtype == DType::f32 && dtype_of_rows != DType::f32) {
        std::vector<std::byte> narrow(size_of(dtype_of_rows));
        put_element(narrow.data(), dtype_of_rows, 0, static_cast<double>(element(place, tensor.dtype, 0)));
        put_element(place, tensor.dtype, 0, static_cast<double>(element(narrow.data(), dtype_of_rows, 0)));
      }
    }
  }
  return inputs;
}

}  // namespace isofold::tools
