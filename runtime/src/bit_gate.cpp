#include "bit_gate.hpp"

#include <isofold/codegen/interpreter.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <limits>
#include <set>

#include "parallel.hpp"

namespace isofold {
namespace {

constexpr std::int64_t most_oracle_rows = 64;
constexpr std::int64_t most_oracle_elements = std::int64_t{1} << 19;
constexpr std::size_t canary_bytes = 4096;
constexpr unsigned char canary = 0xa5;

std::uint64_t next(std::uint64_t& state) {  // SplitMix64
  std::uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// Powers of two on each side of 1 over which ordinary numbers are spread: sums of their squares are not exact, even those
/// of the shortest mantissa.
constexpr int spread = 3;

enum class RowKind { ordinary, any_magnitude, rare_specials, subnormal, minus_zero, any_bits };
/// In turns. Every second or third row is ordinary: those tell reduction trees apart.
constexpr RowKind row_kinds[] = {RowKind::ordinary,  RowKind::any_magnitude, RowKind::ordinary,   RowKind::rare_specials,
                                 RowKind::subnormal, RowKind::ordinary,      RowKind::minus_zero, RowKind::any_bits};
constexpr auto row_kind_count = static_cast<int>(std::size(row_kinds));

struct Format {
  int bits, mantissa, exponent;
  std::uint32_t exponent_mask() const { return (1u << exponent) - 1; }
  int bias() const { return static_cast<int>(exponent_mask() / 2); }
};

Format format_of(DType dtype) {
  if (dtype == DType::f32 || dtype == DType::f64) return {32, 23, 8};
  if (dtype == DType::e4m3) return {8, 3, 4};
  return dtype == DType::bf16 ? Format{16, 7, 8} : Format{16, 10, 5};
}

std::uint32_t element(RowKind kind, const Format& format, std::uint64_t& state) {
  const std::uint64_t random = next(state);
  const std::uint32_t sign = static_cast<std::uint32_t>(random >> 63) << (format.bits - 1);
  const std::uint32_t mantissa = static_cast<std::uint32_t>(random) & ((1u << format.mantissa) - 1);
  const auto scaled = [&](int span) {
    const auto step = static_cast<int>((random >> 32) % static_cast<unsigned>(2 * span + 1));
    return sign | static_cast<std::uint32_t>(format.bias() - span + step) << format.mantissa | mantissa;
  };
  switch (kind) {
    case RowKind::ordinary:
      return scaled(spread);
    case RowKind::any_magnitude:
      return scaled(std::min(40, format.bias() - 1));
    case RowKind::rare_specials:
      if ((random >> 40) % 97 != 0) return scaled(spread);
      return sign | format.exponent_mask() << format.mantissa | ((random & 1) != 0 ? mantissa : 0);
    case RowKind::subnormal:
      return sign | mantissa;
    case RowKind::minus_zero:
      return 1u << (format.bits - 1);
    case RowKind::any_bits:
      break;
  }
  return static_cast<std::uint32_t>(random >> (64 - format.bits));
}

/// A binary32 number as binary64 with more bits behind it, which make its sums inexact.
std::uint64_t widened(std::uint32_t bits, std::uint64_t random) {
  const auto value = std::bit_cast<float>(bits);
  const auto wide = std::bit_cast<std::uint64_t>(static_cast<double>(value));
  return value == 0 || value - value != 0 ? wide : wide | random >> 36;
}

RowKind in_turn(std::int64_t place) { return row_kinds[static_cast<std::size_t>(place % row_kind_count)]; }

/// `rows` rows of `n` elements, each of the kind that kind_of(row) says. Integers are drawn around 0 .. row_length.
std::vector<std::byte> hard_rows(DType dtype, std::int64_t rows, std::int64_t n, std::int64_t row_length, std::uint64_t seed,
                                 const std::function<RowKind(std::int64_t)>& kind_of) {
  const Format format = format_of(dtype);
  const std::size_t size = size_of(dtype);
  std::vector<std::byte> bytes(static_cast<std::size_t>(rows * n) * size);
  std::uint64_t state = seed + 1;
  std::byte* place = bytes.data();
  if (dtype == DType::i32) {  // lengths and class numbers, some out of range
    for (std::int64_t i = 0; i < rows; ++i) {
      const auto value = static_cast<std::int32_t>(next(state) % static_cast<std::uint64_t>(row_length + 8)) - 4;
      std::memcpy(place + 4 * i, &value, 4);
    }
    return bytes;
  }
  for (std::int64_t row = 0; row < rows; ++row) {
    const RowKind kind = kind_of(row);
    for (std::int64_t i = 0; i < n; ++i, place += size) {
      std::uint64_t bits = dtype == DType::i8 ? next(state) : element(kind, format, state);
      if (dtype == DType::f64) bits = widened(static_cast<std::uint32_t>(bits), next(state));
      std::memcpy(place, &bits, size);  // the low bytes
    }
  }
  return bytes;
}

/// Scales, temperatures and sinks that meet every case of the operations.
constexpr float hard_numbers[] = {0,
                                  -0.0f,
                                  std::numeric_limits<float>::quiet_NaN(),
                                  std::numeric_limits<float>::infinity(),
                                  -std::numeric_limits<float>::infinity(),
                                  std::numeric_limits<float>::denorm_min(),
                                  std::numeric_limits<float>::max(),
                                  -1};
constexpr int hard_number_count = std::size(hard_numbers);

bool is_number(const Tensor& tensor, Extent extent) { return tensor.dtype == DType::f32 && tensor.extent == extent; }

bool has_numbers(const Spec& spec, Extent extent) {
  return std::any_of(spec.inputs.begin(), spec.inputs.end(), [=](const Tensor& tensor) { return is_number(tensor, extent); });
}

std::set<std::int64_t> token_counts(const Plan& plan, std::int64_t oracle_rows) {
  std::set<std::int64_t> counts{1, 7, oracle_rows};
  if (plan.is_gpu()) {
    const GpuSchedule& s = plan.gpu();
    for (const std::int64_t near : {s.rows_per_block - 1, s.rows_per_block, s.rows_per_block + 1})
      counts.insert(near);
  }
  counts.erase(0);
  return counts;
}

}  // namespace

BitGate::BitGate(const KernelTarget& target, const Spec& spec, const Fold& fold) : queue_(target), spec_(spec), layout_(spec) {
  // Rows are repeated: one that comes again must meet its own row of the columns.
  const std::int64_t rows =
      std::clamp<std::int64_t>(most_oracle_elements / std::max<std::int64_t>(spec.n, 1), 2 * row_kind_count, most_oracle_rows);
  cases_.push_back(ordinary_case(in_whole_groups(spec, rows)));
  // A number in all is the same in all rows of a launch: it takes as many launches as there are hard numbers.
  if (has_numbers(spec, Extent::scalar))
    for (int number = 0; number < hard_number_count; ++number) cases_.push_back(number_case(number, 2));
  else if (has_numbers(spec, Extent::token))
    cases_.push_back(number_case(0, 2 * hard_number_count));
  for (Case& some : cases_) ask_oracle(some, fold);
}

/// Rows whose kinds take turns, beginning with another one in each tensor, so that they meet in different combinations.
BitGate::Case BitGate::ordinary_case(std::int64_t rows) const {
  Case some{.rows = rows};
  for (std::size_t i = 0; i < spec_.inputs.size(); ++i) {
    const Tensor& tensor = spec_.inputs[i];
    const auto first = static_cast<std::int64_t>(has_stride(tensor.extent) ? i : 3);
    some.inputs.push_back(hard_rows(tensor.dtype, rows_held(tensor, rows), row_elements(spec_, tensor.extent), spec_.n,
                                    static_cast<std::uint64_t>(first), [=](std::int64_t row) {
                                      // The second turn shifts the kinds of every tensor by another amount.
                                      return in_turn(row + first * (1 + row / row_kind_count));
                                    }));
  }
  return some;
}

/// Hard numbers from the one at `first` on, which meet ordinary rows in the first half of `rows` and other kinds in the second.
/// Every input takes them in another order.
BitGate::Case BitGate::number_case(int first, std::int64_t rows) const {
  Case some{.rows = in_whole_groups(spec_, rows)};
  for (std::size_t i = 0; i < spec_.inputs.size(); ++i) {
    const Tensor& tensor = spec_.inputs[i];
    const auto input = static_cast<std::int64_t>(i);
    const auto number = [=](std::int64_t row) { return first + row % (rows / 2); };
    std::vector<std::byte> bytes = hard_rows(tensor.dtype, rows_held(tensor, some.rows), row_elements(spec_, tensor.extent), spec_.n,
                                             static_cast<std::uint64_t>(input + first), [=](std::int64_t row) {
                                               const bool other = has_stride(tensor.extent) && row % rows >= rows / 2;
                                               return other ? in_turn(number(row) + input) : RowKind::ordinary;
                                             });
    if (is_number(tensor, Extent::token) || is_number(tensor, Extent::scalar))
      for (std::int64_t row = 0; row < rows_held(tensor, some.rows); ++row)
        std::memcpy(bytes.data() + 4 * row, &hard_numbers[number(row) * (2 * input + 1) % hard_number_count], 4);
    some.inputs.push_back(std::move(bytes));
  }
  return some;
}

void BitGate::ask_oracle(Case& some, const Fold& fold) const {
  std::vector<ConstView> input_views;
  std::vector<View> output_views;
  for (std::size_t i = 0; i < some.inputs.size(); ++i)
    input_views.push_back({some.inputs[i].data(), row_elements(spec_, spec_.inputs[i].extent)});
  for (const Output& output : spec_.outputs) {
    const std::int64_t n = row_elements(spec_, output.extent);
    std::vector<std::byte>& bytes = some.expected.emplace_back(static_cast<std::size_t>(some.rows * n) * size_of(output.dtype));
    output_views.push_back({bytes.data(), n});
  }
  for_each_parallel(static_cast<std::size_t>(some.rows), [&](std::size_t row) {
    std::vector<ConstView> inputs = input_views;
    std::vector<View> outputs = output_views;
    const auto move_to_row = [&](auto& view, std::int64_t to, DType dtype) {
      view.data = const_cast<std::byte*>(static_cast<const std::byte*>(view.data)) +
                  static_cast<std::size_t>(to * view.row_stride) * size_of(dtype);
    };
    const auto here = static_cast<std::int64_t>(row);
    for (std::size_t i = 0; i < inputs.size(); ++i) move_to_row(inputs[i], row_used(spec_.inputs[i], here), spec_.inputs[i].dtype);
    for (std::size_t i = 0; i < outputs.size(); ++i) move_to_row(outputs[i], here, spec_.outputs[i].dtype);
    interpret(spec_, fold, 1, inputs, outputs);
  });
}

/// Room for `rows` rows. The oracle's rows are repeated; a row's result does not depend on its neighbours.
void BitGate::reserve(Case& some, std::int64_t rows) const {
  if (rows <= some.capacity) return;
  some.input_buffers.clear();
  some.output_buffers.clear();
  some.capacity = 0;
  const auto bytes = [&](DType dtype, Extent extent, std::int64_t count) {
    return static_cast<std::size_t>(in_whole_groups(spec_, count) * row_elements(spec_, extent)) * size_of(dtype);
  };
  for (std::size_t i = 0; i < some.inputs.size(); ++i) {
    const Tensor& tensor = spec_.inputs[i];
    const WorkBuffer& buffer =
        some.input_buffers.emplace_back(queue_, bytes(tensor.dtype, tensor.extent, rows_held(tensor, rows)));
    const std::size_t period = std::min(some.inputs[i].size(), buffer.bytes());
    buffer.upload(some.inputs[i].data(), period);
    buffer.repeat(period);
  }
  for (const Output& output : spec_.outputs)
    some.output_buffers.emplace_back(queue_, bytes(output.dtype, output.extent, rows) + canary_bytes);
  some.capacity = rows;  // now that there was memory for all of it
}

std::string BitGate::check(const Kernel& kernel) {
  const std::string schedule = text(kernel.plan().schedule());
  for (const std::int64_t tokens : token_counts(kernel.plan(), cases_.front().rows))
    if (const std::string difference = check(cases_.front(), kernel, tokens); !difference.empty())
      return fmt::format("{} over {} {}: {}", schedule, tokens, tokens == 1 ? "token" : "tokens", difference);
  for (std::size_t i = 1; i < cases_.size(); ++i)
    if (const std::string difference = check(cases_[i], kernel, cases_[i].rows); !difference.empty())
      return fmt::format("{} over {} {} with hard numbers: {}", schedule, cases_[i].rows, cases_[i].rows == 1 ? "token" : "tokens",
                         difference);
  return {};
}

std::string BitGate::check(Case& some, const Kernel& kernel, std::int64_t tokens) {
  reserve(some, std::max(tokens, some.rows));
  std::vector<ConstTensor> inputs;
  std::vector<MutableTensor> outputs;
  for (const WorkBuffer& buffer : some.input_buffers) inputs.push_back({buffer.data()});
  for (const WorkBuffer& buffer : some.output_buffers) {
    buffer.fill(canary);
    outputs.push_back({buffer.data()});
  }
  Parameters parameters;
  layout_.bind(inputs, outputs, tokens, parameters);
  const WorkBuffer workspace(queue_, kernel.workspace_bytes(tokens));
  kernel.launch(queue_.stream(), parameters, tokens, workspace.data());

  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Output& output = spec_.outputs[i];
    const std::size_t row_bytes = static_cast<std::size_t>(row_elements(spec_, output.extent)) * size_of(output.dtype);
    const std::size_t written = static_cast<std::size_t>(tokens) * row_bytes;
    actual_.resize(written + canary_bytes);
    some.output_buffers[i].download(actual_.data(), actual_.size());
    for (std::int64_t row = 0; row < tokens; ++row) {
      const std::byte* is = actual_.data() + static_cast<std::size_t>(row) * row_bytes;
      const std::byte* should = some.expected[i].data() + static_cast<std::size_t>(row % some.rows) * row_bytes;
      if (std::memcmp(is, should, row_bytes) == 0) continue;
      const std::size_t byte = static_cast<std::size_t>(std::mismatch(is, is + row_bytes, should).first - is);
      return fmt::format("{}: row {} differs from the oracle, first at element {}", output.name, row,
                         byte / size_of(output.dtype));
    }
    const auto behind = actual_.begin() + static_cast<std::ptrdiff_t>(written);
    if (std::any_of(behind, actual_.end(), [](std::byte b) { return b != std::byte{canary}; }))
      return fmt::format("{}: bytes behind the last row were written", output.name);
  }
  return {};
}

}  // namespace isofold
