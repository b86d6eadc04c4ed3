#include "support/call.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace isofold::testing {
namespace {

bool is_number(const Tensor& input) {
  return input.dtype == DType::f32 && (input.extent == Extent::token || input.extent == Extent::scalar);
}

}  // namespace

bool takes_numbers(const Spec& spec) { return std::any_of(spec.inputs.begin(), spec.inputs.end(), is_number); }

/// Rows that lie in groups are one row of the tensor.
template <class TensorOrOutput>
Shape Call::shape_of(const TensorOrOutput& tensor) const {
  const std::int64_t elements = row_elements(spec_, tensor.extent);
  if (tensor.extent == Extent::column) return {tensor.dtype, tensor.groups, elements, elements, options_.offset};
  const std::int64_t n = elements * tensor.groups;
  const std::int64_t rows = tensor.extent == Extent::scalar ? 1 : (options_.tokens + tensor.groups - 1) / tensor.groups;
  return {tensor.dtype, rows, n, n + options_.stride_padding, options_.offset};
}

Call::Call(const Spec& spec, const Fold& fold, const CallOptions& options) : spec_(spec), options_(options) {
  for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
    const Tensor& input = spec.inputs[i];
    HostTensor tensor(shape_of(input));
    // In even rows all tensors are of one kind; in odd rows, say, infinities of one meet zeros of another.
    const std::uint64_t seed = options.seed + 4 * i;
    if (input.dtype == DType::i32 && !options.integers.empty())
      tensor.fill_from<std::int32_t>(options.integers, options.seed);
    else if (input.dtype == DType::i32)
      tensor.fill_integers(-3, spec.n + 3, seed);
    else if (is_number(input) && !options.numbers.empty())
      // From another place on in each input, which takes all of eight numbers as the seeds go on.
      tensor.fill_from<float>(options.numbers, options.seed * (2 * i + 1));
    else if (options.ordinary_rows)
      tensor.fill(RowKind::normal, seed);
    else if (has_stride(input.extent))
      tensor.fill_all_kinds(seed, options.first_kind, 4 * i);
    else
      tensor.fill(RowKind::infinite, seed);
    inputs_.push_back(std::move(tensor));
  }
  original_inputs_ = inputs_;
  reset_outputs();
  expected_ = outputs_;
  std::vector<View> views;
  for (HostTensor& tensor : expected_) views.push_back(tensor.view());
  interpret(spec_, fold, options_.tokens, input_views(), views);
}

std::vector<ConstView> Call::input_views() const {
  std::vector<ConstView> views;
  for (const HostTensor& tensor : inputs_) views.push_back(tensor.const_view());
  return views;
}

std::vector<View> Call::output_views() {
  std::vector<View> views;
  for (HostTensor& tensor : outputs_) views.push_back(tensor.view());
  return views;
}

void Call::reset_outputs() {
  outputs_.clear();
  for (const Output& output : spec_.outputs)
    outputs_.emplace_back(shape_of(output));
}

std::string Call::fault() const {
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    if (const std::string what = outputs_[i].broken_canary(); !what.empty())
      return fmt::format("{}: {}", spec_.outputs[i].name, what);
    if (const std::string what = difference(outputs_[i], expected_[i]); !what.empty())
      return fmt::format("{}: {}", spec_.outputs[i].name, what);
  }
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    if (const std::string what = inputs_[i].broken_canary(); !what.empty())
      return fmt::format("{}: {}", spec_.inputs[i].name, what);
    if (const std::string what = difference(inputs_[i], original_inputs_[i]); !what.empty())
      return fmt::format("input {} was written: {}", spec_.inputs[i].name, what);
  }
  return {};
}

}  // namespace isofold::testing
