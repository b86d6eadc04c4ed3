#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cache_entry.hpp"
#include "files.hpp"
#include "log.hpp"

namespace isofold {

// The folder, made with mode 0700. A <file> is <digest of the key text>.v<cache_schema>:
//
//   <folder>/entries/<file>                    one file for each entry, in the format of cache_entry.hpp
//   <folder>/locks/<file>                      empty, flocked while the entry is built, never removed
//   <folder>/tmp/<process>-<number>-<random>   being written; renamed into entries/ after fsync
//
// A reader takes no lock: a name in entries/ always stands for a whole file, and the checksum and the full
// key text are compared on every read. The modification time of an entry is the last time it was used, to
// within an hour; that holds for every schema, so that entries of other versions of the library, which this
// one cannot read, can be pruned by age and size like its own.

/// Kernels on disk, shared by processes. Thread-safe. A cache is an aid: no member throws because of the
/// disk, and any trouble means "not cached" and one warning of its kind. A damaged entry is a miss, replaced
/// by the next store.
class DiskCache {
 public:
  /// Held while one process builds an entry. Not `held` when the wait ended without it: build all the same.
  using Lock = FileLock;

  struct EntryInfo {
    std::string name;            ///< of the file in entries/
    std::string digest;          ///< of the key text
    std::string kind, metadata;  ///< empty when damaged; of another schema: "" and which schema it is
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

  static constexpr std::chrono::milliseconds default_wait = FileLock::default_wait;

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

  /// Every entry in the order of the names, checked when it is of this schema.
  std::vector<EntryInfo> list();
  /// Those of `list` that are damaged.
  std::vector<EntryInfo> verify();
  /// Damaged entries and what was left by processes that died are removed in any case.
  Removed prune(const PruneLimits& limits);
  /// Removes every entry, of other schemas too.
  Removed clear();

 private:
  void warn_unusable(const std::string& what);
  void warn_unwritable(const std::string& what);
  void warn_change(const std::string& action, const std::string& name, int error);
  FileDescriptor open_subfolder(const FileDescriptor& parent, const char* name, std::string& problem);
  /// Fills in the rest of `info`; false when the file is gone.
  bool examine(EntryInfo& info, std::uint32_t schema);
  void remove_stale_files();
  void remove(const EntryInfo& entry, Removed& removed);

  std::string folder_;
  Log& log_;
  FileDescriptor entries_, locks_, temporaries_;
};

}  // namespace isofold
