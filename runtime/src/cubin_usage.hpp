#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace isofold {

/// What one kernel of a cubin takes, as ptxas reports it; read from the file, so no GPU is needed.
struct ResourceUsage {
  std::string kernel;
  int registers = 0;            ///< of a thread
  int stack_bytes = 0;          ///< local memory of a thread; 0 means no spill and no array outside registers
  int static_shared_bytes = 0;  ///< of a block, without what the system reserves
  bool operator==(const ResourceUsage&) const = default;
};

/// Every kernel of `cubin`, in the order of its symbols. InternalError when it is not a cubin.
std::vector<ResourceUsage> usage_of(std::string_view cubin);

/// The kernel `name` alone; InternalError when there is none.
ResourceUsage usage_of(std::string_view cubin, std::string_view name);

}  // namespace isofold
