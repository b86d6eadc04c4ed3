#include "simt/batch.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace isofold::simt {
namespace {

std::vector<HostSource> host_sources(const std::vector<CudaSource>& sources) {
  std::vector<HostSource> host;
  for (const CudaSource& source : sources) host.push_back({source.text, source.program_name, source.entries});
  return host;
}

}  // namespace

Batch::Batch(const std::vector<CudaSource>& sources) {
  const std::string library = folder_ / "batch.so";
  warnings_ = compile_host_library(host_sources(sources), library);
  library_.emplace(library);
}

std::string Batch::run(std::size_t source, const std::string& entry, Launch launch, void** arguments,
                       const Order& order, std::span<const GlobalRange> memory) {
  if (!library_->bind(launch, source, entry)) throw std::logic_error("a batch has no kernel " + entry);
  return scheduler_.run(launch, arguments, order, memory);
}

std::string run_plan(Batch& batch, std::size_t source, const CudaSource& generated, const Plan& plan,
                     testing::Call& call, const Order& order) {
  call.reset_outputs();
  const GpuShape shape = gpu_shape(plan);
  const std::int64_t tokens = call.tokens();
  testing::HostTensor workspace({.rows = tokens, .n = std::max(4, shape.workspace_bytes_per_row) / 4});
  workspace.fill(testing::RowKind::nan, 99);

  std::vector<void*> pointers;
  std::vector<std::int64_t> numbers;
  std::vector<GlobalRange> memory;
  const auto add = [&](testing::HostTensor& tensor, bool row_extent, bool writable) {
    const std::size_t size = size_of(tensor.dtype());
    pointers.push_back(tensor.data());
    if (row_extent) numbers.push_back(tensor.row_stride());
    memory.push_back({tensor.row(0), static_cast<std::size_t>(tensor.rows()),
                      static_cast<std::size_t>(tensor.n()) * size,
                      static_cast<std::size_t>(tensor.row_stride()) * size, writable});
  };
  for (std::size_t i = 0; i < call.inputs().size(); ++i)
    add(call.inputs()[i], has_stride(plan.spec().inputs[i].extent), false);
  for (testing::HostTensor& output : call.outputs()) add(output, true, true);
  numbers.push_back(tokens);
  const bool has_workspace = plan.gpu().split == Split::workspace;
  void* workspace_data = workspace.data();
  memory.push_back({workspace.row(0), 1, workspace.allocation_bytes(), workspace.allocation_bytes(), true});
  std::vector<void*> arguments;
  for (void*& pointer : pointers) arguments.push_back(&pointer);
  for (std::int64_t& number : numbers) arguments.push_back(&number);
  if (has_workspace) arguments.push_back(&workspace_data);

  Launch launch;
  launch.blocks = grid_blocks(plan, tokens);
  launch.block_threads = static_cast<unsigned>(shape.block_threads);
  launch.cluster_blocks =
      plan.gpu().split == Split::cluster ? static_cast<unsigned>(plan.gpu().blocks_per_row) : 1;
  launch.dynamic_shared_bytes = static_cast<std::size_t>(shape.staging_bytes);
  launch.dependent = plan.gpu().dependent_launch;
  for (const std::string& entry : generated.entries)
    if (std::string fault = batch.run(source, entry, launch, arguments.data(), order, memory); !fault.empty())
      return fmt::format("{}: {}", entry, fault);
  if (std::string fault = workspace.broken_canary(); !fault.empty()) return "workspace: " + fault;
  return call.fault();
}

}  // namespace isofold::simt
