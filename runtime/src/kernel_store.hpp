#pragma once
#include <isofold/codegen/device_traits.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bundle.hpp"
#include "cuda_handles.hpp"
#include "disk_cache.hpp"
#include "kernel.hpp"
#include "log.hpp"
#include "memory_cache.hpp"
#include "nvrtc.hpp"

namespace isofold {

class CpuPool;

/// What kernels are compiled with and run on: `context` and `nvrtc` for a GPU, `pool` for the CPU.
struct KernelTarget {
  ContextPointer context{};
  std::shared_ptr<const Nvrtc> nvrtc{};
  std::shared_ptr<CpuPool> pool{};
};

/// Finds plans in bundles or compiles them, keeps what they compile to on disk, and keeps loaded kernels in memory.
/// Thread-safe.
class KernelStore {
 public:
  /// `dump`: folder to which the text and code of every kernel is written, whether it was compiled or found.
  /// `disk`, `log` and `bundles` (which may be null) outlive the store.
  KernelStore(KernelTarget target, DiskCache& disk, Log& log, std::optional<std::string> dump,
              const Bundles* bundles = nullptr);

  /// What the plan compiles to, from a bundle, from the disk cache or compiled now. The plan need not be for the target's
  /// device. Throws UsageError that names the kernel when bundles are required and none has it.
  std::shared_ptr<const KernelImage> image(const Plan& plan);
  /// The cubin of a CUDA source that no plan stands behind, through the same cache.
  std::string cubin(const std::string& source, const std::string& program_name, int device_arch);
  /// The loaded kernel of an image, which is not kept here. No numerics probe.
  std::unique_ptr<const Kernel> load(const Plan& plan, std::shared_ptr<const KernelImage> image) const;

  /// The loaded kernel, kept from then on; compiles first when it must. The first call of all runs the
  /// numerics probe.
  std::shared_ptr<const Kernel> kernel(const Plan& plan);
  /// The same for many, compiled side by side.
  std::vector<std::shared_ptr<const Kernel>> kernels(std::span<const Plan> plans);

  /// Runs the numerics probe unless this store has done so. Throws UsageError when the device fails it.
  void ensure_probed(const DeviceTraits& device);

  const KernelTarget& target() const { return target_; }

 private:
  void write_dump(const Plan& plan, const KernelImage& image) const;

  KernelTarget target_;
  DiskCache& disk_;
  Log& log_;
  std::optional<std::string> dump_;
  const Bundles* bundles_;
  MemoryCache<const Kernel> kernels_;
  std::mutex probe_mutex_;
  std::atomic<bool> probed_ = false;
};

/// Lets this thread allocate and load while some other thread captures a stream in global mode: such calls
/// touch no captured stream, and the driver refuses them otherwise.
class RelaxedCapture {
 public:
  explicit RelaxedCapture(const Context* context);
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;
  ~RelaxedCapture();

 private:
  const Context* context_;
  cuda::CUstreamCaptureMode mode_ = cuda::CU_STREAM_CAPTURE_MODE_RELAXED;
};

}  // namespace isofold
