#include "host_kernel.hpp"

#include <isofold/codegen/cost_model.hpp>

#include <algorithm>
#include <array>

namespace isofold {
namespace {

/// Bytes that one thread takes at a time: long enough to hide what handing out work costs, short enough to
/// balance.
constexpr std::int64_t bytes_per_share = 64 * 1024;

}  // namespace

HostKernel::HostKernel(const Plan& plan, std::shared_ptr<const KernelImage> image,
                       std::shared_ptr<CpuPool> pool)
    : Kernel(plan, std::move(image)),
      kernel_(plan, this->image().code),
      pool_(std::move(pool)),
      rows_per_share_(std::max<std::int64_t>(1, bytes_per_share / std::max<std::int64_t>(1, bytes_moved(plan.spec(), 1)))) {}

void HostKernel::launch(CUstream_st*, const Parameters& parameters, std::int64_t tokens, void*) const {
  const Spec& spec = plan().spec();
  const std::size_t inputs = spec.inputs.size(), outputs = spec.outputs.size();
  std::array<const void*, max_tensors> input_pointers;
  std::array<void*, max_tensors> output_pointers;
  std::array<std::int64_t, max_tensors> strides;
  for (std::size_t i = 0; i < inputs; ++i)
    input_pointers[i] = reinterpret_cast<const void*>(parameters.values[i]);
  for (std::size_t i = 0; i < outputs; ++i)
    output_pointers[i] = reinterpret_cast<void*>(parameters.values[inputs + i]);
  for (std::size_t i = inputs + outputs; i + 1 < parameters.count; ++i)
    strides[i - inputs - outputs] = static_cast<std::int64_t>(parameters.values[i]);
  CpuKernel::Function* const function = kernel_.function();
  pool_->parallel_for(tokens, rows_per_share_, [&](std::int64_t first, std::int64_t last) {
    function(input_pointers.data(), output_pointers.data(), strides.data(), first, last);
  });
}

}  // namespace isofold
