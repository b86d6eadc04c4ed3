#pragma once
#include <isofold/runtime.hpp>
#include <isofold/tuning_table.hpp>

#include <memory>
#include <optional>
#include <string>

#include "bundle.hpp"
#include "cpu_pool.hpp"
#include "cuda_handles.hpp"
#include "disk_cache.hpp"
#include "kernel_store.hpp"
#include "launch_recorder.hpp"
#include "log.hpp"
#include "nvrtc.hpp"
#include "nvtx.hpp"
#include "settings.hpp"

namespace isofold {

/// Everything behind a Runtime: a device, its compiler, caches and tables.
class RuntimeImpl {
 public:
  explicit RuntimeImpl(const RuntimeOptions& options);

  const Settings& settings() const { return settings_; }
  Log& log() { return log_; }
  /// Null unless ranges are wanted and a profiler is there.
  const Nvtx* nvtx() const { return nvtx_; }
  DiskCache& disk() { return disk_; }
  const DeviceTraits& device() const { return device_; }
  const std::string& device_name() const { return device_name_; }
  const TuningTable& table() const { return table_; }
  const Bundles& bundles() const { return *bundles_; }
  /// Must schedules have been measured?
  bool require_tuned() const { return require_tuned_; }
  /// Null unless launches are recorded.
  LaunchRecorder* recorder() const { return recorder_.get(); }
  KernelStore& store() { return *store_; }
  bool is_gpu() const { return device_.kind == DeviceTraits::Kind::cuda; }
  /// The device's context; null on the CPU.
  const ContextPointer& context() const { return store_->target().context; }
  const std::shared_ptr<CpuPool>& pool() const { return store_->target().pool; }

  /// Where `isofold tune` writes what it measured on this device, and where it is read from again; empty
  /// without a usable cache folder.
  std::string user_table_file() const;
  /// Versions of the library, the driver and the compiler, for people: "isofold 0.1.0, driver for CUDA 13.0, NVRTC 13.0".
  std::string environment() const;

 private:
  KernelTarget open_device(const std::string& asked);
  KernelTarget open_gpu(int ordinal);
  KernelTarget open_cpu();
  void read_tables(const RuntimeOptions& options);

  Settings settings_;
  Log log_;
  const Nvtx* nvtx_ = nullptr;
  DiskCache disk_;
  DeviceTraits device_;
  std::string device_name_;
  TuningTable table_;
  bool require_tuned_ = false;
  std::unique_ptr<const Bundles> bundles_;
  std::unique_ptr<LaunchRecorder> recorder_;
  std::unique_ptr<KernelStore> store_;
};

/// What codegen has to know of a GPU.
DeviceTraits traits_of(const DeviceInfo& info);

}  // namespace isofold
