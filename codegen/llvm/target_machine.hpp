#pragma once
#include <isofold/codegen/device_traits.hpp>

#include <llvm/Target/TargetMachine.h>

#include <memory>

namespace isofold {

/// A code generator for the traits' triple and features, with strict floating point. Throws UsageError for a
/// CUDA device or a target that this LLVM cannot compile for.
std::unique_ptr<llvm::TargetMachine> target_machine(const DeviceTraits& device);

/// True when code for the traits can run in this process.
bool host_can_run(const DeviceTraits& device);

}  // namespace isofold
