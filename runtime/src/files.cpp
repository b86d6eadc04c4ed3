#include "files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <isofold/error.hpp>
#include <random>
#include <system_error>
#include <thread>

namespace isofold {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t largest_file = std::size_t{1} << 30;

[[noreturn]] void refuse(std::string_view what, std::string_view action, const std::string& path, int error) {
  throw UsageError(fmt::format("{}: cannot {} {}: {}", what, action, path,
                               std::error_code(error, std::generic_category()).message()));
}

std::string temporary_name() {
  static std::atomic<unsigned> counter{0};
  static const std::uint64_t nonce = (std::uint64_t{std::random_device()()} << 32) | std::random_device()();
  return fmt::format("{}-{}-{:016x}", getpid(), counter.fetch_add(1), nonce);
}

/// Some file systems know no fsync of a folder and say so; there is nothing more to do there.
bool sync_folder(int folder) { return fsync(folder) == 0 || errno == EINVAL || errno == ENOTSUP; }

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (value_ >= 0) close(value_);
}

std::optional<std::string> read_whole(int file) {
  struct stat status {};
  if (fstat(file, &status) != 0) return std::nullopt;
  // The size is only a hint: a pipe or a file of /proc has none.
  std::string bytes(std::clamp<std::size_t>(static_cast<std::size_t>(status.st_size), 4095, largest_file) + 1,
                    '\0');
  std::size_t size = 0;
  for (;;) {
    const ssize_t count = read(file, bytes.data() + size, bytes.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::nullopt;
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
    if (size > largest_file) {
      errno = EFBIG;
      return std::nullopt;
    }
    if (size == bytes.size()) bytes.resize(std::min(2 * size, largest_file + 1));
  }
  bytes.resize(size);
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

bool replace_at(int folder, const std::string& name, std::string_view bytes, std::optional<mode_t> mode,
                int temporaries, const std::string& prefix) {
  const std::string temporary = prefix + temporary_name();
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const FileDescriptor file(openat(temporaries, temporary.c_str(), flags, mode.value_or(0644)));
  if (!file) return false;
  if ((mode && fchmod(file.get(), *mode) != 0) || !write_whole(file.get(), bytes) || fsync(file.get()) != 0 ||
      renameat(temporaries, temporary.c_str(), folder, name.c_str()) != 0) {
    const int error = errno;
    unlinkat(temporaries, temporary.c_str(), 0);
    errno = error;
    return false;
  }
  return sync_folder(folder);
}

FileLock::FileLock(FileDescriptor file, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (std::chrono::milliseconds pause(1);; pause = std::min(2 * pause, std::chrono::milliseconds(20))) {
    if (flock(file.get(), LOCK_EX | LOCK_NB) == 0) {
      file_ = std::move(file);
      return;
    }
    const int error = errno;
    if ((error != EWOULDBLOCK && error != EINTR) || std::chrono::steady_clock::now() >= deadline) {
      file = FileDescriptor();
      errno = error;
      return;
    }
    std::this_thread::sleep_for(pause);
  }
}

FileLock::FileLock(const std::string& path, std::string_view what, std::chrono::milliseconds timeout) {
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file) refuse(what, "open", path, errno);
  *this = FileLock(std::move(file), timeout);
  if (held()) return;
  if (errno != EWOULDBLOCK && errno != EINTR) refuse(what, "lock", path, errno);
  throw UsageError(
      fmt::format("{}: another process has held the lock {} for {} ms; try again when it has ended", what,
                  path, timeout.count()));
}

FileLock::~FileLock() {
  // Closing is not enough: a child made by fork has a copy of the descriptor, and with it of the lock.
  if (file_) flock(file_.get(), LOCK_UN);
}

std::string read_file(const std::string& path, std::string_view what) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) refuse(what, "read", path, errno);
  std::optional<std::string> content = read_whole(file.get());
  if (!content) refuse(what, "read", path, errno);
  return std::move(*content);
}

void read_lines(const std::string& path, std::string_view what, const std::function<void(std::string_view)>& read) {
  const std::string content = read_file(path, what);
  std::size_t number = 0;
  for (std::size_t start = 0; start < content.size();) {
    const std::size_t end = std::min(content.find('\n', start), content.size());
    ++number;
    if (end > start) {
      try {
        read(std::string_view(content).substr(start, end - start));
      } catch (const UsageError& error) {
        throw UsageError(fmt::format("{}:{}: {}", path, number, error.what()));
      }
    }
    start = end + 1;
  }
}

std::string resolve_links(const std::string& path, std::string_view what) {
  constexpr int most_links = 40;  // as the kernel
  fs::path resolved(path);
  for (int links = 0; links <= most_links; ++links) {
    std::error_code error;
    if (!fs::is_symlink(fs::symlink_status(resolved, error))) return resolved.string();
    const fs::path target = fs::read_symlink(resolved, error);
    if (error) refuse(what, "follow", resolved.string(), error.value());
    resolved = resolved.parent_path() / target;
  }
  refuse(what, "follow", path, ELOOP);
}

void write_file_atomically(const std::string& path, std::string_view content, std::string_view what) {
  const fs::path target = resolve_links(path, what);
  const std::string name = target.filename().string();
  const std::string parent = target.has_parent_path() ? target.parent_path().string() : ".";
  const FileDescriptor folder(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) refuse(what, "write", target.string(), errno);
  struct stat status {};
  std::optional<mode_t> mode;
  if (fstatat(folder.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!S_ISREG(status.st_mode))
      throw UsageError(fmt::format("{}: cannot replace {}: it is not a regular file", what, target.string()));
    mode = status.st_mode & 0777;
  } else if (errno != ENOENT) {
    refuse(what, "write", target.string(), errno);
  }
  if (!replace_at(folder.get(), name, content, mode, folder.get(), "." + name + "."))
    refuse(what, "write", target.string(), errno);
}

}  // namespace isofold
