#pragma once
#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "cuda_handles.hpp"
#include "kernel_store.hpp"

namespace isofold {

/// Where the library's own work runs, in order: a stream of its own on a GPU, the calling thread on the CPU.
class WorkQueue {
 public:
  explicit WorkQueue(const KernelTarget& target);
  /// Null on the CPU.
  CUstream_st* stream() const { return stream_ ? stream_->get() : nullptr; }
  const Stream* gpu() const { return stream_ ? &*stream_ : nullptr; }
  void synchronize() const;

 private:
  std::optional<Stream> stream_;
};

/// Memory of the queue's device, aligned to 256 bytes. Its queue outlives it.
class WorkBuffer {
 public:
  WorkBuffer(const WorkQueue& queue, std::size_t bytes);

  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

  /// In the queue's order. The host memory may be any.
  void upload(const void* source, std::size_t bytes, std::size_t offset = 0) const;
  void fill(unsigned char value) const;
  /// Fills the buffer with copies of its first `period` bytes.
  void repeat(std::size_t period) const;
  /// Waits for the queue.
  void download(void* destination, std::size_t bytes, std::size_t offset = 0) const;

 private:
  struct Free {
    void operator()(std::byte* data) const;
  };
  const WorkQueue* queue_;
  DeviceBuffer device_;
  std::unique_ptr<std::byte, Free> host_;
  std::byte* data_ = nullptr;
  std::size_t bytes_;
};

}  // namespace isofold
