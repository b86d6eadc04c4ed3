#pragma once
#include <array>
#include <cstddef>
#include <exception>
#include <functional>
#include <future>
#include <isofold/error.hpp>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace isofold {

/// Finished values by key text, each built once. Thread-safe. A hit takes one shared lock of one shard; a
/// miss is reserved by the first thread, and only those that want the same key wait for it.
template <class Value>
class MemoryCache {
 public:
  using Pointer = std::shared_ptr<Value>;

  /// The value of `key`, or null when there is none or it is still being built. Never waits for a build.
  Pointer find(std::string_view key) const {
    const Shard& shard = shard_of(key);
    const std::shared_lock guard(shard.mutex);
    const auto found = shard.slots.find(key);
    return found == shard.slots.end() ? nullptr : found->second.value;
  }

  /// The value of `key`; when there is none, `build()` makes it (a Pointer that is not null) while other
  /// threads with the same key wait. An exception of `build` reaches every waiter and leaves no entry: the
  /// next call tries again. `build` runs without a lock and may use this cache, but not for the same key.
  template <class Build>
  Pointer get_or_build(std::string_view key, Build&& build) {
    if (Pointer hit = find(key)) return hit;
    Shard& shard = shard_of(key);
    std::promise<Pointer> promise;
    std::shared_future<Pointer> flight;
    {
      const std::unique_lock guard(shard.mutex);
      const auto [slot, reserved] = shard.slots.try_emplace(std::string(key));
      if (slot->second.value) return slot->second.value;
      if (reserved)
        slot->second.flight = promise.get_future().share();
      else
        flight = slot->second.flight;
    }
    if (flight.valid()) return flight.get();
    try {
      Pointer value = std::forward<Build>(build)();
      if (!value) throw InternalError("a build for the memory cache made nothing: " + std::string(key));
      {
        const std::unique_lock guard(shard.mutex);
        Slot& slot = shard.slots.find(key)->second;
        slot.value = value;
        slot.flight = {};
      }
      promise.set_value(value);
      return value;
    } catch (...) {
      {
        const std::unique_lock guard(shard.mutex);
        shard.slots.erase(shard.slots.find(key));
      }
      promise.set_exception(std::current_exception());
      throw;
    }
  }

  /// Number of finished values.
  std::size_t size() const {
    std::size_t count = 0;
    for (const Shard& shard : shards_) {
      const std::shared_lock guard(shard.mutex);
      for (const auto& [key, slot] : shard.slots) count += slot.value != nullptr;
    }
    return count;
  }

  /// Forgets the finished values; builds in flight go on.
  void clear() {
    for (Shard& shard : shards_) {
      const std::unique_lock guard(shard.mutex);
      std::erase_if(shard.slots, [](const auto& item) { return item.second.value != nullptr; });
    }
  }

 private:
  struct Slot {
    Pointer value;
    std::shared_future<Pointer> flight;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const noexcept { return std::hash<std::string_view>()(key); }
  };
  struct alignas(64) Shard {
    mutable std::shared_mutex mutex;
    std::unordered_map<std::string, Slot, Hash, std::equal_to<>> slots;
  };
  static constexpr std::size_t shard_count = 16;

  // The map inside a shard uses the low bits of the same hash, so the shard is chosen by high ones.
  std::size_t index_of(std::string_view key) const { return (Hash()(key) >> 48) % shard_count; }
  Shard& shard_of(std::string_view key) { return shards_[index_of(key)]; }
  const Shard& shard_of(std::string_view key) const { return shards_[index_of(key)]; }

  std::array<Shard, shard_count> shards_;
};

}  // namespace isofold
