#pragma once
#include <isofold/export.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace ISOFOLD_API isofold {

/// How the blocks that share a row meet.
enum class Split : std::uint8_t {
  none,       // one block per row
  cluster,    // one thread-block cluster per row, through distributed shared memory (sm_90 and later)
  workspace,  // a launch for each pass: partial sums to a workspace, from which every block of the next one takes its row's
};

/// Where a row waits between the reduction and the output.
enum class Staging : std::uint8_t { registers, shared, reread };

/// Where and when a fold's tree runs on a CUDA device. Nothing here can change a bit. Fields are only appended.
struct GpuSchedule {
  int threads_per_row = 32;   // per block; 1 to 1024, a power of two
  int rows_per_block = 1;     // a power of two
  int blocks_per_row = 1;     // a power of two, at most 16, or 1024 with Split::workspace
  Split split = Split::none;  // none exactly when blocks_per_row is 1
  Staging staging = Staging::registers;
  int vector = 1;               // elements per memory access, a power of two, at most the fold's leaf
  bool early_weights = false;   // column inputs are loaded before the reduction, not after
  bool streaming = false;       // row loads do not allocate in L1, stores are evicted first
  bool dependent_launch = false;  // programmatic dependent launch (sm_90 and later)
  int resident_blocks = 1;      // the compiler keeps registers few enough for this many blocks on a multiprocessor
  int shared_calls = 0;         // staging=registers: leaves of a thread whose calls wait in shared memory, the others' in registers
  bool operator==(const GpuSchedule&) const = default;
};

/// How a fold's tree runs on a CPU. Nothing here can change a bit. Fields are only appended.
struct CpuSchedule {
  int width = 8;          // binary32 lanes of a vector register: 4, 8 or 16
  bool streaming = false;  // outputs are stored past the caches
  bool operator==(const CpuSchedule&) const = default;
};

using Schedule = std::variant<GpuSchedule, CpuSchedule>;

/// Several blocks share a row without a cluster: a launch takes memory besides the tensors, which its caller hands in.
bool needs_workspace(const Schedule& schedule);

/// "gpu threads=512 rows=1 blocks=1 split=none staging=registers vector=8 weights=early memory=streaming
/// launch=dependent resident=2", with " shared_calls=4" behind it unless that is 0, or "cpu width=8 memory=cached".
/// parse_schedule reads it back; UsageError otherwise.
std::string text(const GpuSchedule& schedule);
std::string text(const CpuSchedule& schedule);
std::string text(const Schedule& schedule);
Schedule parse_schedule(std::string_view text);

std::string_view name_of(Split split);
std::string_view name_of(Staging staging);

}  // namespace isofold
