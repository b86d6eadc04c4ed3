#include "device_call.hpp"

#include <stdexcept>

#include "runtime_impl.hpp"

namespace isofold::testing {

DeviceArena::DeviceArena(const Runtime& runtime, std::size_t bytes)
    : queue_(runtime.impl()->store().target()), memory_(queue_, bytes) {}

std::string fault_on_device(const DeviceArena& arena, Call& call, const LaunchFunction& launch) {
  std::size_t used = 0;
  std::vector<std::pair<HostTensor*, std::size_t>> places;
  const auto upload = [&](HostTensor& tensor) {
    const std::size_t bytes = tensor.allocation_bytes();
    if (bytes > arena.memory().bytes() - used)
      throw std::length_error("the call does not fit into the arena");
    arena.memory().upload(tensor.allocation(), bytes, used);
    places.emplace_back(&tensor, used);
    std::byte* data = arena.memory().data() + used + tensor.data_offset();
    used += (bytes + 255) / 256 * 256;
    return data;
  };
  std::vector<ConstTensor> inputs;
  std::vector<MutableTensor> outputs;
  for (HostTensor& tensor : call.inputs()) inputs.push_back({upload(tensor), tensor.row_stride()});
  for (HostTensor& tensor : call.outputs()) outputs.push_back({upload(tensor), tensor.row_stride()});
  launch(arena.queue().stream(), inputs, outputs, call.tokens());
  for (const auto& [tensor, place] : places)
    arena.memory().download(tensor->allocation(), tensor->allocation_bytes(), place);
  return call.fault();
}

std::string fault_on_device(const DeviceArena& arena, Call& call, const Operator& op) {
  const std::size_t bytes = op.workspace_bytes(call.tokens());
  const WorkBuffer workspace(arena.queue(), bytes);
  return fault_on_device(arena, call, [&](auto stream, auto inputs, auto outputs, std::int64_t tokens) {
    op.launch(stream, inputs, outputs, tokens, {workspace.data(), bytes});
  });
}

std::string fault_on_device(const DeviceArena& arena, Call& call, const Kernel& kernel) {
  const ArgumentLayout layout(kernel.plan().spec());
  const WorkBuffer workspace(arena.queue(), kernel.workspace_bytes(call.tokens()));
  return fault_on_device(arena, call, [&](auto stream, auto inputs, auto outputs, std::int64_t tokens) {
    Parameters parameters;
    layout.bind(inputs, outputs, tokens, parameters);
    kernel.launch(stream, parameters, tokens, workspace.data());
  });
}

}  // namespace isofold::testing
