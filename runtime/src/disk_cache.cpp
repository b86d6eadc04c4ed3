#include "disk_cache.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <isofold/codegen/digest.hpp>
#include <random>
#include <thread>

namespace isofold {
namespace {

constexpr std::int64_t touch_after_seconds = 3600;  // how stale the time of the last use may be
constexpr std::int64_t stale_after_seconds = 3600;  // a temporary file this old has lost its writer
constexpr off_t largest_file = off_t{1} << 30;

std::string reason(int error) { return std::error_code(error, std::generic_category()).message(); }

/// Opens a folder without following a link; "" or why it cannot be trusted.
std::string open_folder(int parent, const std::string& name, FileDescriptor& folder) {
  FileDescriptor opened(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!opened) {
    if (errno == ELOOP || errno == ENOTDIR) return "it is a symbolic link or not a folder";
    return reason(errno);
  }
  struct stat status {};
  if (fstat(opened.get(), &status) != 0) return reason(errno);
  if (status.st_uid != geteuid())
    return fmt::format("it belongs to user {}, this process runs as user {}", status.st_uid, geteuid());
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fmt::format("others may write to it (mode {:o}; 700 is needed)", status.st_mode & 07777);
  folder = std::move(opened);
  return "";
}

/// The whole file; on failure nothing, with errno set. What no store has made (a folder, a pipe, a huge file)
/// reads as empty, which is no entry.
std::optional<std::string> read_whole(int folder, const std::string& name, struct stat& status, bool touch) {
  const FileDescriptor file(openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file || fstat(file.get(), &status) != 0) return std::nullopt;
  if (!S_ISREG(status.st_mode) || status.st_size > largest_file) return "";
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t count = read(file.get(), bytes.data() + size, bytes.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::nullopt;
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  bytes.resize(size);
  // Only a courtesy to prune: on a read-only disk it fails, and nothing is lost.
  if (touch && std::time(nullptr) - status.st_mtime > touch_after_seconds) futimens(file.get(), nullptr);
  return bytes;
}

bool write_whole(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

std::vector<std::string> names_in(int folder) {
  std::vector<std::string> names;
  const int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return names;
  DIR* stream = fdopendir(copy);
  if (stream == nullptr) {
    close(copy);
    return names;
  }
  while (const dirent* item = readdir(stream))
    if (item->d_name[0] != '.') names.emplace_back(item->d_name);
  closedir(stream);
  std::sort(names.begin(), names.end());
  return names;
}

bool is_digest(std::string_view name) {
  return name.size() == 32 && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string temporary_name() {
  static std::atomic<unsigned> counter{0};
  static const std::uint64_t nonce = (std::uint64_t{std::random_device()()} << 32) | std::random_device()();
  return fmt::format("{}-{}-{:016x}", getpid(), counter.fetch_add(1), nonce);
}

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (value_ >= 0) close(value_);
}

DiskCache::Lock::~Lock() {
  // Closing is not enough: a child made by fork has a copy of the descriptor, and with it of the lock.
  if (file_) flock(file_.get(), LOCK_UN);
}

DiskCache::DiskCache(std::optional<std::string> folder, Log& log) : log_(log) {
  if (!folder || folder->empty()) return;
  folder_ = *folder;
  while (folder_.size() > 1 && folder_.back() == '/') folder_.pop_back();
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(folder_).parent_path(), error);
  const bool made = mkdir(folder_.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) {
    warn(reason(errno));
    return;
  }
  FileDescriptor root;
  if (const std::string problem = open_folder(AT_FDCWD, folder_, root); !problem.empty()) {
    warn(problem);
    return;
  }
  entries_ = open_subfolder(root, "entries");
  if (!entries_) return;
  // A cache that can only be read has neither of these; store and lock then say so.
  locks_ = open_subfolder(root, "locks");
  temporaries_ = open_subfolder(root, "tmp");
  remove_stale_files();
}

FileDescriptor DiskCache::open_subfolder(const FileDescriptor& parent, const char* name) {
  FileDescriptor folder;
  if (mkdirat(parent.get(), name, 0700) != 0 && errno != EEXIST) {
    warn(fmt::format("{}: {}", name, reason(errno)));
    return folder;
  }
  if (const std::string problem = open_folder(parent.get(), name, folder); !problem.empty())
    warn(fmt::format("{}: {}", name, problem));
  return folder;
}

void DiskCache::warn(const std::string& what) {
  if (warned_.exchange(true)) return;
  log_.warning(
      fmt::format("the disk cache {} cannot be used, kernels are kept in memory only: {}", folder_, what));
}

std::optional<CacheEntry> DiskCache::load(const std::string& key_text) {
  if (!usable()) return std::nullopt;
  const std::string name = digest(key_text);
  struct stat status {};
  const std::optional<std::string> bytes = read_whole(entries_.get(), name, status, true);
  if (!bytes) {
    if (errno == ENOENT) return std::nullopt;
    warn(fmt::format("entries/{} cannot be read: {}", name, reason(errno)));
    return std::nullopt;
  }
  auto decoded = decode(*bytes);
  if (const std::string* problem = std::get_if<std::string>(&decoded)) {
    log_.warn_once("damaged " + name,
                   fmt::format("the cache entry {}/entries/{} is damaged ({}) and will be made again",
                               folder_, name, *problem));
    return std::nullopt;
  }
  CacheEntry& entry = std::get<CacheEntry>(decoded);
  if (entry.key_text != key_text) return std::nullopt;  // another key with the same digest
  return std::move(entry);
}

bool DiskCache::store(const CacheEntry& entry) {
  if (!usable()) return false;
  if (!temporaries_) {
    warn("it is read-only");
    return false;
  }
  return write_and_rename(digest(entry.key_text), encode(entry));
}

bool DiskCache::write_and_rename(const std::string& name, std::string_view bytes) {
  const std::string temporary = temporary_name();
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const FileDescriptor file(openat(temporaries_.get(), temporary.c_str(), flags, 0600));
  if (!file) {
    warn(fmt::format("tmp/{} cannot be made: {}", temporary, reason(errno)));
    return false;
  }
  const bool stored = write_whole(file.get(), bytes) && fsync(file.get()) == 0 &&
                      renameat(temporaries_.get(), temporary.c_str(), entries_.get(), name.c_str()) == 0;
  if (!stored) {
    const int error = errno;
    unlinkat(temporaries_.get(), temporary.c_str(), 0);
    warn(fmt::format("entries/{} cannot be stored: {}", name, reason(error)));
    return false;
  }
  if (fsync(entries_.get()) != 0) {
    warn(fmt::format("entries: {}", reason(errno)));
    return false;
  }
  return true;
}

DiskCache::Lock DiskCache::lock(const std::string& key_text, std::chrono::milliseconds timeout) {
  if (!usable() || !locks_) return Lock();
  const std::string name = digest(key_text);
  FileDescriptor file(openat(locks_.get(), name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) {
    warn(fmt::format("locks/{}: {}", name, reason(errno)));
    return Lock();
  }
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (std::chrono::milliseconds pause(1);; pause = std::min(2 * pause, std::chrono::milliseconds(20))) {
    if (flock(file.get(), LOCK_EX | LOCK_NB) == 0) return Lock(std::move(file));
    if (errno != EWOULDBLOCK && errno != EINTR) {
      warn(fmt::format("locks/{}: {}", name, reason(errno)));
      return Lock();
    }
    if (std::chrono::steady_clock::now() >= deadline) return Lock();
    std::this_thread::sleep_for(pause);
  }
}

CacheEntry DiskCache::load_or_build(const std::string& key_text, const std::function<CacheEntry()>& build,
                                    std::chrono::milliseconds timeout) {
  if (std::optional<CacheEntry> entry = load(key_text)) return std::move(*entry);
  const Lock held = lock(key_text, timeout);
  if (std::optional<CacheEntry> entry = load(key_text)) return std::move(*entry);
  CacheEntry entry = build();
  store(entry);
  return entry;
}

std::vector<DiskCache::EntryInfo> DiskCache::list() {
  std::vector<EntryInfo> infos;
  if (!usable()) return infos;
  for (const std::string& name : names_in(entries_.get())) {
    if (!is_digest(name)) continue;
    struct stat status {};
    const std::optional<std::string> bytes = read_whole(entries_.get(), name, status, false);
    if (!bytes && errno == ENOENT) continue;  // removed by another process meanwhile
    EntryInfo info{.digest = name,
                   .kind = {},
                   .metadata = {},
                   .bytes = static_cast<std::uint64_t>(status.st_size),
                   .used = status.st_mtime,
                   .problem = {}};
    if (!bytes) {
      info.problem = reason(errno);
    } else {
      auto decoded = decode(*bytes);
      if (std::string* problem = std::get_if<std::string>(&decoded)) {
        info.problem = std::move(*problem);
      } else {
        CacheEntry& entry = std::get<CacheEntry>(decoded);
        info.kind = std::move(entry.kind);
        info.metadata = std::move(entry.metadata);
        if (digest(entry.key_text) != name) info.problem = "the name is not the digest of the key";
      }
    }
    infos.push_back(std::move(info));
  }
  return infos;
}

std::vector<DiskCache::EntryInfo> DiskCache::verify() {
  std::vector<EntryInfo> infos = list();
  std::erase_if(infos, [](const EntryInfo& info) { return info.problem.empty(); });
  return infos;
}

void DiskCache::remove(const EntryInfo& entry, Removed& removed) {
  if (unlinkat(entries_.get(), entry.digest.c_str(), 0) != 0) {
    if (errno != ENOENT) warn(fmt::format("entries/{} cannot be removed: {}", entry.digest, reason(errno)));
    return;
  }
  ++removed.entries;
  removed.bytes += entry.bytes;
}

DiskCache::Removed DiskCache::prune(const PruneLimits& limits) {
  Removed removed;
  std::vector<EntryInfo> kept;
  const std::int64_t now = std::time(nullptr);
  for (EntryInfo& info : list()) {
    const bool unused = limits.unused_for && now - info.used >= limits.unused_for->count();
    if (unused || !info.problem.empty())
      remove(info, removed);
    else
      kept.push_back(std::move(info));
  }
  if (limits.max_bytes) {
    std::stable_sort(kept.begin(), kept.end(), [](const auto& a, const auto& b) { return a.used > b.used; });
    std::uint64_t total = 0;
    for (const EntryInfo& info : kept) {
      total += info.bytes;
      if (total > *limits.max_bytes) remove(info, removed);
    }
  }
  remove_stale_files();
  return removed;
}

DiskCache::Removed DiskCache::clear() {
  Removed removed;
  for (const EntryInfo& info : list()) remove(info, removed);
  remove_stale_files();
  return removed;
}

void DiskCache::remove_stale_files() {
  if (!temporaries_) return;
  const std::int64_t now = std::time(nullptr);
  for (const std::string& name : names_in(temporaries_.get())) {
    struct stat status {};
    if (fstatat(temporaries_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (now - status.st_mtime > stale_after_seconds) unlinkat(temporaries_.get(), name.c_str(), 0);
  }
}

}  // namespace isofold
