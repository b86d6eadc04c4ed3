#include <isofold/codegen/cost_model.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench_timing.hpp"

namespace isofold {
namespace {

constexpr std::size_t most_calls = 8192;
constexpr std::size_t alignment = 256;
/// The CPU's traits do not say how large its last cache is; this is more than 1.5 times that of most.
constexpr double cpu_cache_bytes = 64 << 20;
constexpr double times_cache = 1.5;
/// Part of the free device memory that may be taken.
constexpr double most_of_memory = 0.85;

std::size_t aligned(std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

/// Two bytes each: a bfloat16 of either sign from 2^-8 to 4. Read as float16 or, in pairs, as binary32 these
/// are ordinary numbers, too.
std::vector<std::uint16_t> ordinary_pattern() {
  std::vector<std::uint16_t> pattern(std::size_t{1} << 21);
  std::uint64_t state = 1;
  for (std::uint16_t& bits : pattern) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const auto random = static_cast<std::uint32_t>(state >> 32);
    bits = static_cast<std::uint16_t>((random & 0x8000) | (0x3b80 + random % (0x4080 - 0x3b80)));
  }
  return pattern;
}

}  // namespace

RotatingCalls::RotatingCalls(RuntimeImpl& runtime, const Spec& spec, std::int64_t tokens)
    : queue_(runtime.store().target()), tokens_(tokens) {
  std::size_t bytes = 0;
  std::vector<std::size_t> offsets;
  const auto place = [&](DType dtype, Extent extent) {
    offsets.push_back(bytes);
    bytes += aligned(static_cast<std::size_t>(in_whole_groups(spec, tokens) * row_elements(spec, extent)) * size_of(dtype));
  };
  // Rows are another call's each time; weights are the same in every call, as in a model that runs again and
  // again.
  std::size_t shared = 0;
  for (const Tensor& tensor : spec.inputs) {
    if (!has_stride(tensor.extent)) {
      offsets.push_back(shared);
      shared += aligned(static_cast<std::size_t>(row_elements(spec, tensor.extent) * tensor.groups) * size_of(tensor.dtype));
    } else {
      place(tensor.dtype, tensor.extent);
    }
  }
  for (const Output& output : spec.outputs) place(output.dtype, output.extent);

  if (bytes == 0) throw UsageError(fmt::format("{}: rows without elements have nothing to measure", spec.op));
  const double cache = runtime.is_gpu() ? static_cast<double>(runtime.device().l2_bytes) : cpu_cache_bytes;
  const auto wanted =
      static_cast<std::size_t>(std::floor(times_cache * cache / static_cast<double>(bytes))) + 1;
  std::size_t calls = std::clamp<std::size_t>(wanted, 2, most_calls);
  if (runtime.is_gpu()) {
    const double room = most_of_memory * static_cast<double>(runtime.context()->free_memory());
    calls = std::min(calls, static_cast<std::size_t>(std::max(0.0, room - static_cast<double>(shared)) /
                                                     static_cast<double>(bytes)));
    if (calls == 0)
      throw UsageError(fmt::format("{} tokens of {} take {:.1f} GB, the device has {:.1f} GB free", tokens,
                                   spec.op, static_cast<double>(bytes) * 1e-9, room / most_of_memory * 1e-9));
  }
  tensors_ = std::make_unique<WorkBuffer>(queue_, shared + calls * bytes);
  const std::vector<std::uint16_t> pattern = ordinary_pattern();
  const std::size_t period = std::min(2 * pattern.size(), tensors_->bytes());
  tensors_->upload(pattern.data(), period);
  tensors_->repeat(period);

  std::vector<std::int32_t> numbers;  // lengths and class numbers: any within the row
  for (std::int64_t token = 0; token < tokens; ++token)
    numbers.push_back(static_cast<std::int32_t>((token + 1) * 7919 % std::max<std::int64_t>(spec.n, 1)));
  const ArgumentLayout layout(spec);
  for (std::size_t call = 0; call < calls; ++call) {
    std::vector<ConstTensor> inputs;
    std::vector<MutableTensor> outputs;
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      const bool is_shared = i < spec.inputs.size() && !has_stride(spec.inputs[i].extent);
      const std::size_t offset = (is_shared ? 0 : shared + call * bytes) + offsets[i];
      std::byte* data = tensors_->data() + offset;
      if (i < spec.inputs.size() && spec.inputs[i].dtype == DType::i32)
        tensors_->upload(numbers.data(), static_cast<std::size_t>(rows_held(spec.inputs[i], tokens)) * sizeof(std::int32_t), offset);
      if (i < spec.inputs.size())
        inputs.push_back({data});
      else
        outputs.push_back({data});
    }
    layout.bind(inputs, outputs, tokens, parameters_.emplace_back());
  }
  queue_.synchronize();
}

void RotatingCalls::reserve(const Kernel& kernel) {
  const std::size_t bytes = kernel.workspace_bytes(tokens_);
  if (bytes > 0 && (!workspace_ || workspace_->bytes() < bytes))
    workspace_ = std::make_unique<WorkBuffer>(queue_, bytes);
}

void RotatingCalls::launch(const Kernel& kernel, CUstream_st* stream, std::size_t index) {
  kernel.launch(stream, parameters_[index % parameters_.size()], tokens_,
                workspace_ ? workspace_->data() : nullptr);
}

}  // namespace isofold
