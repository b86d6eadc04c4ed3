#pragma once
#include <cstdint>

#include "bench_timing.hpp"

namespace isofold::tools {

// The limits of the machine, measured in the same way as kernels are.

/// Copying: `bytes` / 2 are read and `bytes` / 2 written. On a GPU the faster of cudaMemcpy and kernels with
/// 16-byte accesses, on the CPU memcpy shared out over the pool.
Measurement measure_copy(RuntimeImpl& runtime, std::int64_t bytes, const TimingEffort& effort);
/// A kernel of one block that does nothing. Throws UsageError on the CPU.
Measurement measure_empty_kernel(RuntimeImpl& runtime, const TimingEffort& effort);

}  // namespace isofold::tools
