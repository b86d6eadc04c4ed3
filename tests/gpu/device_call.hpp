#pragma once
#include <isofold/runtime.hpp>

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "kernel.hpp"
#include "support/call.hpp"
#include "work_buffer.hpp"

namespace isofold::testing {

/// Memory of a runtime's device that one call after the other uses.
class DeviceArena {
 public:
  DeviceArena(const Runtime& runtime, std::size_t bytes);

  const WorkQueue& queue() const { return queue_; }
  const WorkBuffer& memory() const { return memory_; }

 private:
  WorkQueue queue_;
  WorkBuffer memory_;
};

using LaunchFunction = std::function<void(CUstream_st* stream, std::span<const ConstTensor> inputs,
                                          std::span<const MutableTensor> outputs, std::int64_t tokens)>;

/// Copies the call's tensors to the device with their canaries, launches, and copies all of them back. Empty
/// when the outputs are the oracle's bytes and nothing else was written, else what is wrong.
std::string fault_on_device(const DeviceArena& arena, Call& call, const LaunchFunction& launch);
/// With as much workspace as the operator asks for.
std::string fault_on_device(const DeviceArena& arena, Call& call, const Operator& op);
/// A kernel that need not be any operator's choice, with a workspace when it needs one.
std::string fault_on_device(const DeviceArena& arena, Call& call, const Kernel& kernel);

}  // namespace isofold::testing
