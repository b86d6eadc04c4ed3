#pragma once
#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "cuda_driver.hpp"

namespace isofold {

// Owners of driver objects: move-only, each keeps its Context alive, and no destructor throws. Members make
// the context current for the call. Every failure is a UsageError from Driver::check.

using ContextPointer = std::shared_ptr<const Context>;

/// One object of the driver that `Release` gives back.
template <class Value, auto Release>
class DriverHandle {
 public:
  DriverHandle() = default;
  DriverHandle(ContextPointer context, Value value) : context_(std::move(context)), value_(value) {}
  DriverHandle(DriverHandle&& other) noexcept
      : context_(std::move(other.context_)), value_(std::exchange(other.value_, Value{})) {}
  DriverHandle& operator=(DriverHandle&& other) noexcept {
    DriverHandle moved(std::move(other));
    std::swap(context_, moved.context_);
    std::swap(value_, moved.value_);
    return *this;
  }
  ~DriverHandle() {
    if (context_ && value_ != Value{}) Release(*context_, value_);
  }
  Value get() const { return value_; }
  const ContextPointer& context() const { return context_; }

 private:
  ContextPointer context_;
  Value value_{};
};

namespace release {
void device_memory(const Context& context, cuda::CUdeviceptr pointer) noexcept;
void pinned_memory(const Context& context, void* pointer) noexcept;
void stream(const Context& context, cuda::CUstream stream) noexcept;
void event(const Context& context, cuda::CUevent event) noexcept;
void library(const Context& context, cuda::CUlibrary library) noexcept;
void graph(const Context& context, cuda::CUgraph graph) noexcept;
void graph_exec(const Context& context, cuda::CUgraphExec executable) noexcept;
}  // namespace release

/// A stream that does not wait for the null stream.
class Stream {
 public:
  explicit Stream(ContextPointer context);
  cuda::CUstream get() const { return handle_.get(); }
  const ContextPointer& context() const { return handle_.context(); }
  void synchronize() const;

 private:
  DriverHandle<cuda::CUstream, release::stream> handle_;
};

/// An event with timing.
class Event {
 public:
  explicit Event(ContextPointer context);
  cuda::CUevent get() const { return handle_.get(); }
  void record(cuda::CUstream stream) const;
  /// Time from `start` to this event; both recorded and complete.
  double microseconds_since(const Event& start) const;

 private:
  DriverHandle<cuda::CUevent, release::event> handle_;
};

/// Device memory. Zero bytes is an empty buffer with a null pointer. Copies are checked against the size.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(ContextPointer context, std::size_t bytes);
  void* data() const { return reinterpret_cast<void*>(handle_.get()); }
  std::size_t bytes() const { return bytes_; }

  /// In stream order; host memory should be pinned.
  void upload_async(const void* source, std::size_t bytes, cuda::CUstream stream,
                    std::size_t offset = 0) const;
  void download_async(void* destination, std::size_t bytes, cuda::CUstream stream,
                      std::size_t offset = 0) const;
  void fill_async(unsigned char value, cuda::CUstream stream) const;

 private:
  cuda::CUdeviceptr at(std::size_t offset, std::size_t bytes) const;
  DriverHandle<cuda::CUdeviceptr, release::device_memory> handle_;
  std::size_t bytes_ = 0;
};

/// Page-locked host memory, usable from every device.
class PinnedBuffer {
 public:
  PinnedBuffer(ContextPointer context, std::size_t bytes);
  void* data() const { return handle_.get(); }
  std::size_t bytes() const { return bytes_; }

 private:
  DriverHandle<void*, release::pinned_memory> handle_;
  std::size_t bytes_ = 0;
};

struct LaunchShape {
  std::array<unsigned, 3> grid = {1, 1, 1};     ///< blocks
  std::array<unsigned, 3> block = {1, 1, 1};    ///< threads
  std::array<unsigned, 3> cluster = {1, 1, 1};  ///< blocks; all 1: no cluster
  unsigned shared_bytes = 0;                    ///< dynamic shared memory of a block
  bool dependent_launch = false;  ///< may start before the kernel before it in the stream has ended
};

/// One kernel of a Module, loaded, valid while the Module lives. Copyable.
class DeviceFunction {
 public:
  /// Puts the kernel into the stream: no allocation, no wait. `arguments[i]` points at the i-th argument.
  void launch(cuda::CUstream stream, const LaunchShape& shape, void** arguments) const;

 private:
  friend class Module;
  const Context* context_ = nullptr;
  cuda::CUfunction handle_ = nullptr;
};

/// A cubin loaded on one device.
class Module {
 public:
  /// UsageError when the image is not for this device or damaged. `cubin` may go afterwards.
  Module(ContextPointer context, std::string_view cubin);
  /// The kernel `name`, loaded now, so that a launch inside a graph capture has nothing left to load.
  /// `max_shared_bytes` is the most dynamic shared memory of any launch; `large_cluster` allows more than 8
  /// blocks.
  DeviceFunction function(const std::string& name, unsigned max_shared_bytes = 0, bool large_cluster = false) const;

 private:
  DriverHandle<cuda::CUlibrary, release::library> handle_;
};

/// Work of a stream, recorded once and replayed.
class GraphExec {
 public:
  /// Runs `record` while `stream` is being captured (by this thread alone), and instantiates what it put
  /// there. When `record` throws, the capture is ended and thrown away.
  GraphExec(const Stream& stream, const std::function<void()>& record);
  void launch(cuda::CUstream stream) const;
  /// Nodes of the graph.
  std::size_t size() const { return size_; }

 private:
  DriverHandle<cuda::CUgraphExec, release::graph_exec> handle_;
  std::size_t size_ = 0;
};

}  // namespace isofold
