#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cuda_api.hpp"
#include "simt/host_library.hpp"

namespace isofold::software_gpu {

/// Kernels for the host, loaded from the bytes of their shared object. Throws std::runtime_error when that fails.
std::shared_ptr<const simt::HostLibrary> load_kernels(std::string_view host_code);

/// One kernel and what a caller has said of it.
struct Function {
  std::shared_ptr<const simt::HostLibrary> library;  // null: a kernel that computes nothing
  std::string name;
  int most_dynamic_shared_bytes = 48 << 10;
  bool large_clusters = false;
};

/// Arguments by value and a shape, as one launch had them: may run several times.
using Work = std::function<cuda::CUresult()>;

/// The launch as work, or why it is not allowed. `memory()` are the allocations of the time at which it runs.
cuda::CUresult make_launch(const Function& function, const cuda::CUlaunchConfig& config, void** arguments,
                           const std::function<std::vector<simt::GlobalRange>()>& memory, Work& work);

/// What a launch returns that did something wrong: CUDA_ERROR_LAUNCH_FAILED.
inline constexpr cuda::CUresult launch_failed{719};

/// What the last such launch of this thread did wrong.
const std::string& last_fault();

}  // namespace isofold::software_gpu
