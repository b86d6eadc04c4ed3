#pragma once
#include <isofold/runtime.hpp>
#include <isofold/tuning_table.hpp>

#include <memory>
#include <optional>
#include <string>

#include "cpu_pool.hpp"
#include "cuda_handles.hpp"
#include "disk_cache.hpp"
#include "kernel_store.hpp"
#include "log.hpp"
#include "nvrtc.hpp"
#include "settings.hpp"

namespace isofold {

/// Everything behind a Runtime: a device, its compiler, caches and tables.
class RuntimeImpl {
 public:
  explicit RuntimeImpl(const RuntimeOptions& options);

  const Settings& settings() const { return settings_; }
  Log& log() { return log_; }
  DiskCache& disk() { return disk_; }
  const DeviceTraits& device() const { return device_; }
  const std::string& device_name() const { return device_name_; }
  const TuningTable& table() const { return table_; }
  KernelStore& store() { return *store_; }
  bool is_gpu() const { return device_.kind == DeviceTraits::Kind::cuda; }
  /// The device's context; null on the CPU.
  const ContextPointer& context() const { return store_->target().context; }
  const std::shared_ptr<CpuPool>& pool() const { return store_->target().pool; }

  /// Where `isofold tune` writes what it measured on this device, and where it is read from again; empty
  /// without a usable cache folder.
  std::string user_table_file() const;

 private:
  KernelTarget open_device(const std::string& asked);
  KernelTarget open_gpu(int ordinal);
  KernelTarget open_cpu();
  void read_tables(const RuntimeOptions& options);

  Settings settings_;
  Log log_;
  DiskCache disk_;
  DeviceTraits device_;
  std::string device_name_;
  TuningTable table_;
  std::unique_ptr<KernelStore> store_;
};

/// What codegen has to know of a GPU.
DeviceTraits traits_of(const DeviceInfo& info);

}  // namespace isofold
