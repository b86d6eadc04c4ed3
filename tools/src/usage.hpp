#pragma once
#include <isofold/codegen/plan.hpp>

#include <string>
#include <vector>

#include "console.hpp"
#include "cubin_usage.hpp"
#include "kernel.hpp"

namespace isofold::tools {

/// What one kernel of a GPU plan takes, and how many of its blocks fit on a multiprocessor.
struct KernelUsage {
  ResourceUsage resources;
  int spill_bytes = 0;   // stored and loaded again, as ptxas reports it
  int shared_bytes = 0;  // of a block, static and dynamic
  int block_threads = 0;
  int blocks_per_multiprocessor = 0;  // estimate
  double occupancy = 0;               // estimate: resident warps / most resident warps
  std::string limited_by;             // "registers", "shared memory", "threads" or "blocks"
};

/// Of each kernel, in launch order.
std::vector<KernelUsage> usage_of(const Plan& plan, const KernelImage& image);

void print_usage(const Console& console, const KernelUsage& usage);
Json to_json(const KernelUsage& usage);

}  // namespace isofold::tools
