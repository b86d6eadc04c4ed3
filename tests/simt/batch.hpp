#pragma once
#include <isofold/codegen/cuda_emitter.hpp>
#include <isofold/codegen/plan.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "simt/host_library.hpp"
#include "simt/scheduler.hpp"
#include "support/call.hpp"
#include "support/temporary_folder.hpp"

namespace isofold::simt {

/// Generated kernels, compiled by the host's C++ compiler into one shared object and loaded. One thread at a
/// time.
class Batch {
 public:
  /// Throws std::runtime_error with the compiler's messages.
  explicit Batch(const std::vector<CudaSource>& sources);
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  /// What the compiler warned of: a generated kernel holds no variable, constant or helper that it does not
  /// use.
  const std::string& warnings() const { return warnings_; }

  /// Runs kernel `entry` of source `source` in the shape of `launch`. Empty, or the first fault.
  std::string run(std::size_t source, const std::string& entry, Launch launch, void** arguments, const Order& order,
                  std::span<const GlobalRange> memory);

 private:
  testing::TemporaryFolder folder_;
  std::string warnings_;
  std::optional<HostLibrary> library_;
  Scheduler scheduler_;
};

/// Launches the kernels of source `source`, which was made from `plan`, on the tensors of `call`, and
/// compares with the oracle. Empty, or what went wrong: a fault of the run or the first wrong byte.
std::string run_plan(Batch& batch, std::size_t source, const CudaSource& generated, const Plan& plan,
                     testing::Call& call, const Order& order);

}  // namespace isofold::simt
