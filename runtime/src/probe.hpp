#pragma once
#include <isofold/codegen/plan.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernel.hpp"

namespace isofold {

struct KernelTarget;

/// The numerics probe: one small kernel over hard bit patterns that has an output for each operation and
/// conversion. What it must store was computed once by the oracle; only the digests are kept.
Plan probe_plan(const DeviceTraits& device);

/// Raw bytes of the probe's inputs, in the Spec's order: probe_tokens rows each.
std::vector<std::vector<std::byte>> probe_inputs();
inline constexpr std::int64_t probe_tokens = 64;

/// Digest that each output must have, in the Spec's order.
const std::vector<std::string>& probe_digests();

/// Runs the probe's kernel. Throws UsageError that names the operations whose bits are wrong.
void check_probe(const Kernel& kernel, const KernelTarget& target);

}  // namespace isofold
