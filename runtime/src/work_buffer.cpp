#include "work_buffer.hpp"

#include <isofold/error.hpp>

#include <algorithm>
#include <cstring>
#include <new>

namespace isofold {
namespace {

constexpr std::align_val_t alignment{256};

}  // namespace

WorkQueue::WorkQueue(const KernelTarget& target) {
  if (target.context) stream_.emplace(target.context);
}

void WorkQueue::synchronize() const {
  if (stream_) stream_->synchronize();
}

void WorkBuffer::Free::operator()(std::byte* data) const { ::operator delete(data, alignment); }

WorkBuffer::WorkBuffer(const WorkQueue& queue, std::size_t bytes) : queue_(&queue), bytes_(bytes) {
  if (const Stream* stream = queue.gpu()) {
    device_ = DeviceBuffer(stream->context(), bytes);
    data_ = static_cast<std::byte*>(device_.data());
  } else {
    host_.reset(static_cast<std::byte*>(::operator new(std::max<std::size_t>(bytes, 1), alignment)));
    data_ = host_.get();
  }
}

void WorkBuffer::upload(const void* source, std::size_t bytes, std::size_t offset) const {
  if (offset > bytes_ || bytes > bytes_ - offset) throw InternalError("an upload beyond a buffer's end");
  if (queue_->gpu())
    device_.upload_async(source, bytes, queue_->stream(), offset);
  else
    std::memcpy(data_ + offset, source, bytes);
}

void WorkBuffer::fill(unsigned char value) const {
  if (queue_->gpu())
    device_.fill_async(value, queue_->stream());
  else
    std::memset(data_, value, bytes_);
}

void WorkBuffer::repeat(std::size_t period) const {
  for (std::size_t filled = period; filled < bytes_;) {
    const std::size_t count = std::min(filled, bytes_ - filled);
    if (const Stream* stream = queue_->gpu()) {
      const CurrentContext current(*stream->context());
      const auto at = [&](std::size_t offset) { return reinterpret_cast<cuda::CUdeviceptr>(data_ + offset); };
      stream->context()->driver().check(
          stream->context()->api().cuMemcpyDtoDAsync_v2(at(filled), at(0), count, stream->get()),
          "cuMemcpyDtoDAsync");
    } else {
      std::memcpy(data_ + filled, data_, count);
    }
    filled += count;
  }
}

void WorkBuffer::download(void* destination, std::size_t bytes, std::size_t offset) const {
  if (offset > bytes_ || bytes > bytes_ - offset) throw InternalError("a download beyond a buffer's end");
  if (queue_->gpu()) {
    device_.download_async(destination, bytes, queue_->stream(), offset);
    queue_->synchronize();
  } else {
    std::memcpy(destination, data_ + offset, bytes);
  }
}

}  // namespace isofold
