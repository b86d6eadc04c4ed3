#pragma once
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "cuda_api.hpp"
#include "dynamic_library.hpp"

namespace isofold {

/// What the driver says of one GPU. Sizes in bytes.
struct DeviceInfo {
  std::string name;
  int arch = 0;  ///< 10 * major + minor: 90 for sm_90
  int sm_count = 0;
  int max_threads_per_sm = 0;
  int registers_per_sm = 0;
  std::size_t shared_bytes_per_sm = 0;
  std::size_t max_shared_bytes_per_block = 0;  ///< opt-in maximum, static and dynamic together
  std::size_t l2_bytes = 0;
  std::size_t memory_bytes = 0;
};

/// libcuda, opened and initialised. Thread-safe.
class Driver {
 public:
  /// Opens `path` (a file or a bare name; default libcuda.so.1). UsageError when there is no driver, it is
  /// older than CUDA 12.0, or it finds no device.
  static std::shared_ptr<const Driver> open(const std::optional<std::string>& path = {});

  /// Throws UsageError "<what>: <name of the error> (<number>): <description>" unless `result` is
  /// CUDA_SUCCESS.
  void check(cuda::CUresult result, const char* what) const {
    if (result != cuda::CUDA_SUCCESS) [[unlikely]]
      fail(result, what);
  }
  /// "CUDA_ERROR_INVALID_VALUE (1): invalid argument"
  std::string describe(cuda::CUresult result) const;

  /// The functions themselves, for calls that have no wrapper.
  const cuda::FunctionTable& api() const { return api_; }
  /// Since CUDA 12.4, else null: loads a function that lazy loading has put off.
  using FuncLoad = cuda::CUresult (*)(cuda::CUfunction);
  FuncLoad func_load() const { return func_load_; }
  /// 1000 * major + 10 * minor of the CUDA version that the driver supports.
  int version() const { return version_; }
  const std::string& library_path() const { return library_.path(); }

  int device_count() const;
  /// UsageError when `ordinal` is not 0 .. device_count() - 1.
  DeviceInfo device(int ordinal) const;

 private:
  explicit Driver(DynamicLibrary library);
  [[noreturn]] void fail(cuda::CUresult result, const char* what) const;
  int attribute(cuda::CUdevice_attribute attribute, cuda::CUdevice device) const;

  DynamicLibrary library_;
  cuda::FunctionTable api_;
  FuncLoad func_load_ = nullptr;
  int version_ = 0;
};

/// The primary context of one device, retained while the object lives: the context that the CUDA runtime, and
/// with it PyTorch, uses. Thread-safe. It is not made current; see CurrentContext.
class Context {
 public:
  Context(std::shared_ptr<const Driver> driver, int ordinal);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  const Driver& driver() const { return *driver_; }
  const cuda::FunctionTable& api() const { return driver_->api(); }
  const DeviceInfo& info() const { return info_; }
  cuda::CUcontext handle() const { return handle_; }
  /// Is this the child of a fork? CUDA does not work there, not even to give things back.
  bool forked() const;
  /// UsageError when it is.
  void check_process() const;
  /// Waits for all work of the device's context.
  void synchronize() const;
  /// Bytes of device memory that are free now.
  std::size_t free_memory() const;

 private:
  std::shared_ptr<const Driver> driver_;
  DeviceInfo info_;
  cuda::CUdevice device_ = 0;
  cuda::CUcontext handle_ = nullptr;
  int process_generation_;
};

/// Makes a context current in this thread, and puts back what was current before. Costs one query when it
/// already is. UsageError in the child of a fork.
class CurrentContext {
 public:
  explicit CurrentContext(const Context& context);
  CurrentContext(const CurrentContext&) = delete;
  CurrentContext& operator=(const CurrentContext&) = delete;
  ~CurrentContext();

 private:
  const cuda::FunctionTable& api_;
  cuda::CUcontext previous_ = nullptr;
  bool changed_ = false;
};

}  // namespace isofold
