#include "verifier.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <isofold/error.hpp>
#include <mutex>

#include "console.hpp"
#include "parallel.hpp"
#include "runtime_impl.hpp"

namespace isofold::tools {
namespace {

constexpr unsigned char canary = 0xa5;
/// A tensor has this many rows more than the largest launch, so that launches have a choice of positions.
constexpr std::int64_t spare_rows = 64;
/// Work below this size is not worth a second thread.
constexpr std::size_t one_thread_bytes = std::size_t{1} << 20;
constexpr std::size_t rows_at_once_bytes = std::size_t{1} << 18;

std::uint64_t bits_at(const std::byte* row, std::size_t size, std::size_t element) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, row + element * size, size);
  return bits;
}

}  // namespace

void VerifyCounts::add(const VerifyCounts& other) {
  launches += other.launches;
  elements += other.elements;
  differing += other.differing;
  overwritten += other.overwritten;
  if (!first) first = other.first;
}

Verifier::Verifier(const Runtime& runtime, std::shared_ptr<const RowPool> pool, std::int64_t capacity,
                   Placement placement, std::uint64_t seed)
    : pool_(std::move(pool)),
      placement_(placement),
      period_(groups(pool_->problem().spec)),
      rows_(capacity + std::max(spare_rows, 3 * period_)),
      random_(seed),
      queue_(runtime.impl()->store().target()),
      context_(runtime.impl()->context()) {
  const Spec& spec = pool_->problem().spec;
  for (std::int64_t row = 0; row < rows_; ++row)
    order_.push_back(static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(pool_->rows() / period_))) * period_ + row % period_);
  for (std::size_t t = 0; t < spec.inputs.size(); ++t) {
    inputs_.push_back(make_rows(spec.inputs[t].dtype, spec.inputs[t].extent, rows_held(spec.inputs[t], rows_)));
    upload(inputs_.back(), t);
  }
  for (const Output& output : spec.outputs) {
    outputs_.push_back(make_rows(output.dtype, output.extent, rows_));
    fill(outputs_.back(), 0, outputs_.back().buffer->bytes());
  }
}

Verifier::Rows Verifier::make_rows(DType dtype, Extent extent, std::int64_t rows) const {
  Rows made;
  made.dtype = dtype;
  // Rows that lie in groups are dense here: a group's position does not matter, its rows' do.
  made.stride = row_elements(pool_->problem().spec, extent) + (has_stride(extent) && period_ == 1 ? placement_.padding : 0);
  made.stride_bytes = static_cast<std::size_t>(made.stride) * size_of(dtype);
  made.offset_bytes = static_cast<std::size_t>(placement_.offset) * size_of(dtype);
  made.buffer = std::make_unique<WorkBuffer>(queue_, made.start(rows));
  return made;
}

void Verifier::upload(const Rows& rows, std::size_t tensor) {
  const std::size_t row_bytes = pool_->input_row_bytes(tensor);
  if (row_bytes == 0) return;
  if (!has_stride(pool_->problem().spec.inputs[tensor].extent)) {
    const auto held = static_cast<std::size_t>(pool_->problem().spec.inputs[tensor].groups);
    rows.buffer->upload(pool_->input(tensor, 0), held * row_bytes, rows.offset_bytes);
    queue_.synchronize();
    return;
  }
  // Rows are put in their order on the host, a part of the tensor at a time.
  const auto part =
      static_cast<std::int64_t>(std::max<std::size_t>(1, (std::size_t{64} << 20) / std::max<std::size_t>(rows.stride_bytes, 1)));
  std::vector<std::byte> staged(rows.stride_bytes * static_cast<std::size_t>(std::min(part, rows_)),
                                std::byte{canary});
  for (std::int64_t first = 0; first < rows_; first += part) {
    const std::int64_t count = std::min(part, rows_ - first);
    for (std::int64_t row = 0; row < count; ++row)
      std::memcpy(staged.data() + static_cast<std::size_t>(row) * rows.stride_bytes,
                  pool_->input(tensor, order_[static_cast<std::size_t>(first + row)]), row_bytes);
    rows.buffer->upload(staged.data(), static_cast<std::size_t>(count) * rows.stride_bytes,
                        rows.start(first));
    queue_.synchronize();
  }
}

void Verifier::fill(const Rows& rows, std::size_t first, std::size_t bytes) const {
  if (bytes == 0) return;
  if (!context_) {
    std::memset(rows.buffer->data() + first, canary, bytes);
    return;
  }
  const CurrentContext current(*context_);
  const auto address = reinterpret_cast<cuda::CUdeviceptr>(rows.buffer->data() + first);
  context_->driver().check(context_->api().cuMemsetD8Async(address, canary, bytes, queue_.stream()),
                           "cuMemsetD8Async");
}

const std::byte* Verifier::fetch(const Rows& rows, std::size_t first, std::size_t bytes) {
  if (!context_) return rows.buffer->data() + first;
  if (!pinned_ || pinned_->bytes() < bytes) {
    pinned_.reset();
    pinned_.emplace(context_, bytes + bytes / 4);
  }
  rows.buffer->download(pinned_->data(), bytes, first);
  return static_cast<const std::byte*>(pinned_->data());
}

Verifier::Checked Verifier::check(const Launch& launch, std::int64_t tokens) {
  // At least one row before and one behind the launch's rows, which it must leave alone.
  const std::int64_t first = period_ * (1 + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>((rows_ - tokens - 1) / period_))));
  const Spec& spec = pool_->problem().spec;
  std::vector<ConstTensor> inputs;
  std::vector<MutableTensor> outputs;
  for (std::size_t t = 0; t < inputs_.size(); ++t) {
    const Tensor& tensor = spec.inputs[t];
    const std::int64_t stride = inputs_[t].stride * (tensor.extent == Extent::row ? tensor.groups : 1);
    inputs.push_back({inputs_[t].buffer->data() + inputs_[t].start(has_stride(tensor.extent) ? first : 0), stride});
  }
  for (std::size_t t = 0; t < outputs_.size(); ++t) {
    const Rows& rows = outputs_[t];
    fill(rows, rows.start(first - 1), static_cast<std::size_t>(tokens + 2) * rows.stride_bytes);
    outputs.push_back({rows.buffer->data() + rows.start(first), rows.stride * spec.outputs[t].groups});
  }
  Checked checked;
  checked.schedule = launch(queue_.stream(), inputs, outputs);
  checked.counts.launches = 1;
  const std::string place =
      fmt::format("{}, {}, rows {} to {}", checked.schedule, counted(tokens, "token"), first, first + tokens - 1);
  for (std::size_t output = 0; output < outputs_.size(); ++output)
    compare(output, first, tokens, place, checked.counts);
  return checked;
}

void Verifier::compare(std::size_t output, std::int64_t first, std::int64_t tokens, const std::string& what,
                       VerifyCounts& total) {
  const Rows& rows = outputs_[output];
  const std::size_t row_bytes = pool_->output_row_bytes(output);
  const std::byte* actual =
      fetch(rows, rows.start(first - 1), static_cast<std::size_t>(tokens + 2) * rows.stride_bytes);
  std::mutex mutex;
  const auto check_rows = [&](std::int64_t from, std::int64_t to) {
    VerifyCounts counts;
    const auto untouched = [&](const std::byte* begin, std::size_t bytes) {
      counts.overwritten += static_cast<std::uint64_t>(
          std::count_if(begin, begin + bytes, [](std::byte b) { return b != std::byte{canary}; }));
    };
    // Fetched row 0 and the last one surround the launch's rows.
    for (std::int64_t fetched = from; fetched < to; ++fetched) {
      const std::byte* row = actual + static_cast<std::size_t>(fetched) * rows.stride_bytes;
      const bool outside = fetched == 0 || fetched == tokens + 1;
      untouched(outside ? row : row + row_bytes, outside ? rows.stride_bytes : rows.stride_bytes - row_bytes);
      if (outside) continue;
      const std::int64_t position = first + fetched - 1;
      const std::byte* expected = pool_->expected(output, order_[static_cast<std::size_t>(position)]);
      counts.elements += row_bytes / size_of(rows.dtype);
      if (row_bytes > 0 && std::memcmp(row, expected, row_bytes) != 0)
        count_row(output, position, row, expected, what, counts);
    }
    const std::lock_guard guard(mutex);
    if (counts.first && total.first && total.first->output == counts.first->output && counts.first->row < total.first->row)
      total.first = counts.first;
    total.add(counts);
  };
  const std::int64_t fetched_rows = tokens + 2;
  if (static_cast<std::size_t>(fetched_rows) * rows.stride_bytes <= one_thread_bytes) return check_rows(0, fetched_rows);
  const auto share =
      static_cast<std::int64_t>(std::max<std::size_t>(1, rows_at_once_bytes / std::max<std::size_t>(rows.stride_bytes, 1)));
  for_each_parallel(static_cast<std::size_t>((fetched_rows + share - 1) / share), [&](std::size_t item) {
    const std::int64_t from = static_cast<std::int64_t>(item) * share;
    check_rows(from, std::min(fetched_rows, from + share));
  });
}

void Verifier::count_row(std::size_t output, std::int64_t row, const std::byte* actual,
                         const std::byte* expected, const std::string& what, VerifyCounts& counts) const {
  const Output& tensor = pool_->problem().spec.outputs[output];
  const std::size_t size = size_of(tensor.dtype);
  for (std::size_t i = 0; i < pool_->output_row_bytes(output) / size; ++i) {
    const std::uint64_t should = bits_at(expected, size, i), is = bits_at(actual, size, i);
    if (should == is) continue;
    ++counts.differing;
    if (!counts.first)
      counts.first = Difference{what, tensor.name, row, static_cast<std::int64_t>(i), should, is};
  }
}

}  // namespace isofold::tools
