#include "disk_cache.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <filesystem>
#include <isofold/codegen/digest.hpp>
#include <system_error>

namespace isofold {
namespace {

constexpr std::int64_t touch_after_seconds = 3600;  // how stale the time of the last use may be
constexpr std::int64_t stale_after_seconds = 3600;  // a temporary file this old has lost its writer

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

/// The whole file; on failure nothing, with errno set. What no store has made (a folder, a pipe) reads as
/// empty, which is no entry.
std::optional<std::string> read_entry(int folder, const std::string& name, struct stat& status, bool touch) {
  const FileDescriptor file(openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file || fstat(file.get(), &status) != 0) return std::nullopt;
  if (!S_ISREG(status.st_mode)) return "";
  std::optional<std::string> bytes = read_whole(file.get());
  // Only a courtesy to prune: on a read-only disk it fails, and nothing is lost.
  if (bytes && touch && std::time(nullptr) - status.st_mtime > touch_after_seconds)
    futimens(file.get(), nullptr);
  return bytes;
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

constexpr std::size_t digest_digits = 32;

std::string file_name(const std::string& key_text) {
  return fmt::format("{}.v{}", digest(key_text), cache_schema);
}

/// The schema that a file name "<digest>.v<schema>" ends with; nothing for other names.
std::optional<std::uint32_t> schema_of(std::string_view name) {
  const std::string_view rest = name.substr(std::min(name.size(), digest_digits));
  if (name.substr(0, digest_digits).find_first_not_of("0123456789abcdef") != std::string_view::npos ||
      !rest.starts_with(".v"))
    return std::nullopt;
  std::uint32_t schema = 0;
  const auto [end, error] = std::from_chars(rest.data() + 2, rest.data() + rest.size(), schema);
  if (error != std::errc() || end != rest.data() + rest.size()) return std::nullopt;
  return schema;
}

/// The cache as a whole does not let itself be written, in contrast to trouble with one file.
bool forbids_writing(int error) { return error == EACCES || error == EPERM || error == EROFS; }

}  // namespace

DiskCache::DiskCache(std::optional<std::string> folder, Log& log) : log_(log) {
  if (!folder || folder->empty()) return;
  folder_ = *folder;
  while (folder_.size() > 1 && folder_.back() == '/') folder_.pop_back();
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(folder_).parent_path(), error);
  const bool made = mkdir(folder_.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) {
    warn_unusable(reason(errno));
    return;
  }
  FileDescriptor root;
  if (const std::string problem = open_folder(AT_FDCWD, folder_, root); !problem.empty()) {
    warn_unusable(problem);
    return;
  }
  std::string problem;
  entries_ = open_subfolder(root, "entries", problem);
  if (!entries_) {
    warn_unusable(problem);
    return;
  }
  locks_ = open_subfolder(root, "locks", problem);
  temporaries_ = open_subfolder(root, "tmp", problem);
  if (!problem.empty()) warn_unwritable(problem);
  remove_stale_files();
}

FileDescriptor DiskCache::open_subfolder(const FileDescriptor& parent, const char* name,
                                         std::string& problem) {
  FileDescriptor folder;
  if (mkdirat(parent.get(), name, 0700) != 0 && errno != EEXIST)
    problem = fmt::format("{}: {}", name, reason(errno));
  else if (const std::string distrust = open_folder(parent.get(), name, folder); !distrust.empty())
    problem = fmt::format("{}: {}", name, distrust);
  return folder;
}

void DiskCache::warn_unusable(const std::string& what) {
  log_.warn_once(
      "unusable " + folder_,
      fmt::format("the disk cache {} cannot be used, kernels are kept in memory only: {}", folder_, what));
}

void DiskCache::warn_unwritable(const std::string& what) {
  log_.warn_once("unwritable " + folder_,
                 fmt::format("the disk cache {} cannot be written, new kernels are kept in memory only: {}",
                             folder_, what));
}

void DiskCache::warn_change(const std::string& action, const std::string& name, int error) {
  if (forbids_writing(error)) return warn_unwritable(fmt::format("{}: {}", name, reason(error)));
  log_.warn_once(action + " " + folder_,
                 fmt::format("the disk cache {}: {} cannot be {}: {} (further files go without a word)",
                             folder_, name, action, reason(error)));
}

std::optional<CacheEntry> DiskCache::load(const std::string& key_text) {
  if (!usable()) return std::nullopt;
  const std::string name = file_name(key_text);
  struct stat status {};
  const std::optional<std::string> bytes = read_entry(entries_.get(), name, status, true);
  if (!bytes) {
    if (const int error = errno; error != ENOENT)
      log_.warn_once(
          "unreadable " + folder_,
          fmt::format("the disk cache {}: entries/{} cannot be read: {} (further files go without a "
                      "word)",
                      folder_, name, reason(error)));
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
  if (!usable() || !temporaries_) return false;
  const std::string name = file_name(entry.key_text);
  if (replace_at(entries_.get(), name, encode(entry), 0600, temporaries_.get())) return true;
  warn_change("stored", "entries/" + name, errno);
  return false;
}

DiskCache::Lock DiskCache::lock(const std::string& key_text, std::chrono::milliseconds timeout) {
  if (!usable() || !locks_) return {};
  const std::string name = file_name(key_text);
  FileDescriptor file(openat(locks_.get(), name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) {
    warn_change("opened", "locks/" + name, errno);
    return {};
  }
  Lock held(std::move(file), timeout);
  if (!held.held() && errno != EWOULDBLOCK && errno != EINTR) warn_change("locked", "locks/" + name, errno);
  return held;
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
    const std::optional<std::uint32_t> schema = schema_of(name);
    if (!schema) continue;
    EntryInfo info{.name = name,
                   .digest = name.substr(0, digest_digits),
                   .kind = {},
                   .metadata = {},
                   .bytes = 0,
                   .used = 0,
                   .problem = {}};
    if (examine(info, *schema)) infos.push_back(std::move(info));
  }
  return infos;
}

bool DiskCache::examine(EntryInfo& info, std::uint32_t schema) {
  struct stat status {};
  if (fstatat(entries_.get(), info.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return false;
  std::optional<std::string> bytes;
  int error = 0;
  if (schema == cache_schema) {
    bytes = read_entry(entries_.get(), info.name, status, false);
    if (!bytes) error = errno;
    if (error == ENOENT) return false;
  }
  info.bytes = static_cast<std::uint64_t>(status.st_size);
  info.used = status.st_mtime;
  if (schema != cache_schema) {
    info.metadata = fmt::format("schema {}, of another version of the library", schema);
  } else if (!bytes) {
    info.problem = reason(error);
  } else if (auto decoded = decode(*bytes); std::string* problem = std::get_if<std::string>(&decoded)) {
    info.problem = std::move(*problem);
  } else {
    CacheEntry& entry = std::get<CacheEntry>(decoded);
    info.kind = std::move(entry.kind);
    info.metadata = std::move(entry.metadata);
    if (digest(entry.key_text) != info.digest) info.problem = "the name is not the digest of the key";
  }
  return true;
}

std::vector<DiskCache::EntryInfo> DiskCache::verify() {
  std::vector<EntryInfo> infos = list();
  std::erase_if(infos, [](const EntryInfo& info) { return info.problem.empty(); });
  return infos;
}

void DiskCache::remove(const EntryInfo& entry, Removed& removed) {
  if (unlinkat(entries_.get(), entry.name.c_str(), 0) != 0) {
    if (errno != ENOENT) warn_change("removed", "entries/" + entry.name, errno);
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
