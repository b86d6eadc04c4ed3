#include "row_pool.hpp"

#include <isofold/codegen/interpreter.hpp>

#include <algorithm>
#include <bit>
#include <cstring>

#include "parallel.hpp"

namespace isofold::tools {
namespace {

/// Which values a row is made of: exponents drawn evenly from a range, and one element in `rarity` that is
/// special.
struct Nature {
  enum class Special { none, infinity, nan };
  int lowest_exponent, highest_exponent;  // against the bias; clamped to the format
  bool any_mantissa = true;               // false: zero
  Special special = Special::none;
  bool all_negative = false;
};

constexpr int lowest = -10000, highest = 10000;  // of any format
constexpr Nature ordinary{-4, 2};
constexpr Nature mixed{-30, 30};
constexpr Nature natures[] = {
    ordinary,
    mixed,
    ordinary,
    {lowest, lowest + 1},  // subnormal, and the smallest normal numbers
    {-4, 2, true, Nature::Special::nan},
    ordinary,
    {lowest, lowest, false, Nature::Special::none, true},  // -0.0 alone
    mixed,
    {highest, highest},  // the largest finite numbers
    ordinary,
    {-4, 2, true, Nature::Special::infinity},
    {lowest, highest},  // any finite bits
    mixed,
};
static_assert(std::size(natures) == row_natures);
constexpr std::uint64_t rarity = 100;

/// Integers are drawn around 0 .. row_length.
void fill_row(const Nature& nature, DType dtype, std::int64_t n, std::int64_t row_length, std::uint64_t seed, std::byte* row) {
  if (dtype == DType::i32) {
    Random random(seed);
    for (std::int64_t i = 0; i < n; ++i) {
      const auto value = static_cast<std::int32_t>(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(row_length) + 8)) - 4);
      std::memcpy(row + 4 * i, &value, 4);
    }
    return;
  }
  const std::size_t size = size_of(dtype);
  const auto width = static_cast<int>(8 * std::min<std::size_t>(size, 4));  // f64: of the f32 that it is made from
  const int mantissa_bits = width == 32 ? 23 : dtype == DType::bf16 ? 7 : dtype == DType::f16 ? 10 : 3;
  const int largest = (1 << (width - 1 - mantissa_bits)) - 1;  // the exponent of infinity
  const int bias = largest / 2;
  const int first = std::clamp(nature.lowest_exponent + bias, 0, largest - 1);
  const int last = nature.lowest_exponent <= lowest
                       ? std::clamp(nature.highest_exponent - lowest, 0, largest - 1)
                       : std::clamp(nature.highest_exponent + bias, 0, largest - 1);
  Random random(seed);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::uint64_t draw = random.bits();
    std::uint32_t exponent =
        static_cast<std::uint32_t>(first) +
        static_cast<std::uint32_t>(draw >> 40) % static_cast<std::uint32_t>(last - first + 1);
    std::uint32_t mantissa =
        nature.any_mantissa ? static_cast<std::uint32_t>(draw) & ((1u << mantissa_bits) - 1) : 0;
    if (nature.special != Nature::Special::none && random.below(rarity) == 0) {
      exponent = static_cast<std::uint32_t>(largest);
      mantissa = nature.special == Nature::Special::infinity ? 0 : std::max(mantissa, 1u);
    }
    const std::uint32_t sign = nature.all_negative || (draw >> 32 & 1) ? 1u << (width - 1) : 0;
    std::uint64_t bits = sign | exponent << mantissa_bits | mantissa;
    if (dtype == DType::f64) bits = std::bit_cast<std::uint64_t>(static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits)))) | random.bits() >> 36;
    std::memcpy(row + static_cast<std::size_t>(i) * size, &bits, size);  // the low bytes
  }
}

constexpr std::int64_t oracle_chunk = 8;  // rows of one work item

}  // namespace

RowPool::RowPool(const Problem& problem, std::int64_t rows, std::uint64_t seed, Results results,
                 const std::function<bool()>& stop)
    : problem_(problem), rows_(rows) {
  const Spec& spec = problem_.spec;
  for (const Tensor& tensor : spec.inputs)
    inputs_.emplace_back(size_of(tensor.dtype) * static_cast<std::size_t>(row_elements(spec, tensor.extent)) *
                         static_cast<std::size_t>(rows_held(tensor, rows)));
  for (const Output& output : spec.outputs)
    outputs_.emplace_back(size_of(output.dtype) * static_cast<std::size_t>(row_elements(spec, output.extent)) *
                          static_cast<std::size_t>(rows));

  const auto fill_and_compute = [&](std::size_t item) {
    if (stop && stop()) return;
    const std::int64_t first = static_cast<std::int64_t>(item) * oracle_chunk;
    const std::int64_t last = std::min(rows_, first + oracle_chunk);
    for (std::size_t t = 0; t < spec.inputs.size(); ++t) {
      const Tensor& tensor = spec.inputs[t];
      if (has_stride(tensor.extent))
        for (std::int64_t row = first; row < last; ++row) {
          // Tensors go through the natures at different paces, so that every pair of them meets in some row.
          const auto turn =
              static_cast<std::size_t>(row) + t * (static_cast<std::size_t>(row) / std::size(natures));
          fill_row(natures[turn % std::size(natures)], tensor.dtype, row_elements(spec, tensor.extent), spec.n,
                   Random(seed ^ (static_cast<std::uint64_t>(row) << 8 | t)).bits(),
                   const_cast<std::byte*>(input(t, row)));
        }
    }
    if (results == Results::none) return;
    for (std::int64_t row = first; row < last; ++row) {
      if (stop && stop()) return;
      std::vector<ConstView> inputs;
      std::vector<View> outputs;
      for (std::size_t t = 0; t < spec.inputs.size(); ++t) inputs.push_back({input(t, row), row_elements(spec, spec.inputs[t].extent)});
      for (std::size_t t = 0; t < spec.outputs.size(); ++t)
        outputs.push_back({const_cast<std::byte*>(expected(t, row)), row_elements(spec, spec.outputs[t].extent)});
      interpret(spec, problem_.fold, 1, inputs, outputs);
    }
  };

  for (std::size_t t = 0; t < spec.inputs.size(); ++t)
    if (!has_stride(spec.inputs[t].extent))
      fill_row({-4, 2, true, Nature::Special::infinity}, spec.inputs[t].dtype, row_elements(spec, spec.inputs[t].extent) * spec.inputs[t].groups, spec.n,
               Random(seed ^ t).bits(), inputs_[t].data());
  for_each_parallel(static_cast<std::size_t>((rows + oracle_chunk - 1) / oracle_chunk), fill_and_compute);
}

std::size_t RowPool::input_row_bytes(std::size_t tensor) const {
  return size_of(problem_.spec.inputs[tensor].dtype) * static_cast<std::size_t>(row_elements(problem_.spec, problem_.spec.inputs[tensor].extent));
}

std::size_t RowPool::output_row_bytes(std::size_t tensor) const {
  return size_of(problem_.spec.outputs[tensor].dtype) * static_cast<std::size_t>(row_elements(problem_.spec, problem_.spec.outputs[tensor].extent));
}

const std::byte* RowPool::input(std::size_t tensor, std::int64_t row) const {
  return inputs_[tensor].data() + static_cast<std::size_t>(row_used(problem_.spec.inputs[tensor], row)) * input_row_bytes(tensor);
}

const std::byte* RowPool::expected(std::size_t tensor, std::int64_t row) const {
  return outputs_[tensor].data() + static_cast<std::size_t>(row) * output_row_bytes(tensor);
}

}  // namespace isofold::tools
