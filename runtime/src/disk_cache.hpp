#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cache_entry.hpp"
#include "log.hpp"

namespace isofold {

// The folder, made with mode 0700:
//
//   <folder>/entries/<digest of the key text>   one file per entry; cache_entry.hpp describes its format
//   <folder>/locks/<digest of the key text>     empty, locked with flock while the entry is being built,
//   never removed <folder>/tmp/<process>-<number>-<random>    a file that is being written; renamed into
//   entries/ after fsync
//
// A reader takes no lock: a name in entries/ always stands for a whole file, and the checksum and the full
// key text are compared on every read. The modification time of an entry is the last time it was used, to
// within an hour.

/// A file descriptor that is closed with the object.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int value) : value_(value) {}
  FileDescriptor(FileDescriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~FileDescriptor();
  explicit operator bool() const { return value_ >= 0; }
  int get() const { return value_; }

 private:
  int value_ = -1;
};

/// Kernels on disk, shared by processes. Thread-safe. A cache is an aid: no member throws because of the
/// disk, and any trouble means "not cached" and one warning. A damaged entry is a miss, replaced by the next
/// store.
class DiskCache {
 public:
  /// Held while one process builds an entry; released with the object.
  class Lock {
   public:
    Lock() = default;
    explicit Lock(FileDescriptor file) : file_(std::move(file)) {}
    Lock(Lock&&) noexcept = default;
    Lock& operator=(Lock&&) noexcept = default;
    ~Lock();
    /// False when the wait ended without the lock: build without it.
    bool held() const { return static_cast<bool>(file_); }

   private:
    FileDescriptor file_;
  };

  struct EntryInfo {
    std::string digest;
    std::string kind, metadata;  ///< empty when damaged
    std::uint64_t bytes = 0;     ///< size of the file
    std::int64_t used = 0;       ///< last use, seconds since 1970
    std::string problem;         ///< what is wrong with it; empty when it is whole
  };
  /// What was removed.
  struct Removed {
    std::size_t entries = 0;
    std::uint64_t bytes = 0;
  };
  struct PruneLimits {
    std::optional<std::uint64_t> max_bytes;          ///< remove the longest unused until the rest fits
    std::optional<std::chrono::seconds> unused_for;  ///< remove what was not used for this long
  };

  static constexpr std::chrono::milliseconds default_wait = std::chrono::seconds(60);

  /// Opens `folder`, made when it is missing; nothing means memory only. A folder that is a symbolic link,
  /// that belongs to someone else or that others may write to is refused with a warning: memory only. `log`
  /// outlives the cache.
  DiskCache(std::optional<std::string> folder, Log& log);

  /// False when nothing can be read or stored.
  bool usable() const { return static_cast<bool>(entries_); }
  /// The folder asked for, also when it was refused; "" for none.
  const std::string& folder() const { return folder_; }

  std::optional<CacheEntry> load(const std::string& key_text);
  /// Replaces the entry of the same key text. True once it is safely on disk.
  bool store(const CacheEntry& entry);
  /// Waits at most `timeout` for the lock of this key.
  Lock lock(const std::string& key_text, std::chrono::milliseconds timeout);
  /// `load`, else `build` and `store`, so that one process builds and others wait at most `timeout` for it.
  /// Throws what `build` throws. Threads of one process belong behind a MemoryCache.
  CacheEntry load_or_build(const std::string& key_text, const std::function<CacheEntry()>& build,
                           std::chrono::milliseconds timeout = default_wait);

  /// Every entry, checked, in the order of the digests.
  std::vector<EntryInfo> list();
  /// Those of `list` that are damaged.
  std::vector<EntryInfo> verify();
  /// Damaged entries and what was left by processes that died are removed in any case.
  Removed prune(const PruneLimits& limits);
  /// Removes every entry.
  Removed clear();

 private:
  void warn(const std::string& what);
  FileDescriptor open_subfolder(const FileDescriptor& parent, const char* name);
  bool write_and_rename(const std::string& name, std::string_view bytes);
  void remove_stale_files();
  void remove(const EntryInfo& entry, Removed& removed);

  std::string folder_;
  Log& log_;
  std::atomic<bool> warned_ = false;
  FileDescriptor entries_, locks_, temporaries_;
};

}  // namespace isofold
