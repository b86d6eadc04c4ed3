#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "failure.hpp"
#include "process.hpp"

namespace isofold::c {

/// The objects behind one kind of handle. A handle is a number in a pointer's clothes, never followed: place, kind and how often
/// the place was taken, so that released, invented and foreign handles are told from live ones. Finding takes no lock.
/// Never destroyed: handles may be used while the process ends.
template <class Object>
class Handles {
 public:
  /// `kind`: 1 .. 15, of this table alone. `what` names it in messages.
  Handles(unsigned kind, const char* what) : kind_(kind), what_(what) {}
  /// Around a fork, so that the child never finds the table half changed.
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;

  void* insert(std::unique_ptr<Object> object) {
    const std::lock_guard guard(mutex_);
    if (free_.empty()) add_chunk();
    free_.reserve(made_);  // so that `remove` need not allocate
    const std::uint64_t index = free_.back();
    free_.pop_back();
    Slot& slot = *place(index);
    slot.object = object.release();
    slot.process = process_generation();
    const std::uint64_t value = ++slot.uses << (index_bits + kind_bits) | index << kind_bits | kind_;
    slot.handle.store(value, std::memory_order_release);
    return reinterpret_cast<void*>(value);
  }

  /// Throws Failure when the handle is none of this kind that lives, or belongs to another process.
  Object& find(const void* handle) const {
    const Slot& slot = live(handle);
    if (slot.process != process_generation())
      throw Failure(ISOFOLD_ERROR_FORK,
                    "the {} was made before this process was forked: make one in the process that uses it", what_);
    return *slot.object;
  }

  /// Destroys the object; in the child of a fork it is left alone, as its threads and its driver are not here.
  void remove(void* handle) {
    if (handle == nullptr) return;
    std::unique_ptr<Object> object;
    {
      const std::lock_guard guard(mutex_);
      Slot& slot = const_cast<Slot&>(live(handle));
      slot.handle.store(0, std::memory_order_release);
      object.reset(slot.object);
      if (slot.process != process_generation()) static_cast<void>(object.release());
      free_.push_back(index_of(reinterpret_cast<std::uint64_t>(handle)));
    }
  }

 private:
  static_assert(sizeof(void*) == sizeof(std::uint64_t));
  static constexpr unsigned kind_bits = 4, index_bits = 20;
  static constexpr std::size_t chunk_size = 1024;

  struct Slot {
    std::atomic<std::uint64_t> handle{0};  // 0: free
    std::uint64_t uses = 0;
    Object* object = nullptr;
    int process = 0;
  };
  using Chunk = std::array<Slot, chunk_size>;

  static std::uint64_t index_of(std::uint64_t value) { return value >> kind_bits & ((1u << index_bits) - 1); }

  Slot* place(std::uint64_t index) const {
    Chunk* chunk = chunks_[index / chunk_size].load(std::memory_order_acquire);
    return chunk == nullptr ? nullptr : &(*chunk)[index % chunk_size];
  }

  const Slot& live(const void* handle) const {
    const auto value = reinterpret_cast<std::uint64_t>(handle);
    if (value == 0) throw Failure(ISOFOLD_ERROR_HANDLE, "the {} is null", what_);
    const Slot* slot = place(index_of(value));
    if (slot == nullptr || slot->handle.load(std::memory_order_acquire) != value)
      throw Failure(ISOFOLD_ERROR_HANDLE, "{} is no {}, or one that was released", handle, what_);
    return *slot;
  }

  void add_chunk() {
    if (made_ == chunks_.size() * chunk_size)
      throw Failure(ISOFOLD_ERROR_MEMORY, "there are {} of the kind {} at a time at most", made_, what_);
    free_.reserve(made_ + chunk_size);
    chunks_[made_ / chunk_size].store(new Chunk, std::memory_order_release);
    for (std::size_t i = chunk_size; i-- > 0;) free_.push_back(made_ + i);
    made_ += chunk_size;
  }

  const unsigned kind_;
  const char* const what_;
  std::mutex mutex_;
  std::array<std::atomic<Chunk*>, (1u << index_bits) / chunk_size> chunks_{};
  std::vector<std::uint64_t> free_;
  std::size_t made_ = 0;
};

}  // namespace isofold::c
