#pragma once
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace isofold {

/// A file descriptor that is closed with the object.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int value) : value_(value) {}
  FileDescriptor(FileDescriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    FileDescriptor moved(std::move(other));
    std::swap(value_, moved.value_);
    return *this;
  }
  ~FileDescriptor();
  explicit operator bool() const { return value_ >= 0; }
  int get() const { return value_; }

 private:
  int value_ = -1;
};

// On failure these give nothing or false and leave the reason in errno.

/// Everything up to the end of `file`, which is at most 1 GiB (EFBIG).
std::optional<std::string> read_whole(int file);
bool write_whole(int file, std::string_view bytes);
/// Puts `bytes` in the place of `name` in `folder`: a new file `prefix` + <process>-<number>-<random> in the
/// folder `temporaries` of the same disk, fsync, rename, fsync of `folder`. A reader sees the old content or
/// the new. A failure before the rename leaves everything as it was. Without a `mode`, 0644 less the umask.
bool replace_at(int folder, const std::string& name, std::string_view bytes, std::optional<mode_t> mode,
                int temporaries, const std::string& prefix = "");

/// An exclusive flock. Released with the object, also while a child made by fork has a copy of its
/// descriptor.
class FileLock {
 public:
  static constexpr std::chrono::milliseconds default_wait = std::chrono::seconds(60);

  FileLock() = default;
  /// Waits at most `timeout` for the lock of an open file. Without it `held` is false, and errno is
  /// EWOULDBLOCK when time ran out.
  FileLock(FileDescriptor file, std::chrono::milliseconds timeout);
  /// Locks the file `path`, which is made when it is missing and never removed. UsageError when that cannot
  /// be done, or not within `timeout`; `what` is what the message calls the file.
  FileLock(const std::string& path, std::string_view what, std::chrono::milliseconds timeout = default_wait);
  FileLock(FileLock&&) noexcept = default;
  FileLock& operator=(FileLock&& other) noexcept {
    FileLock moved(std::move(other));
    std::swap(file_, moved.file_);
    return *this;
  }
  ~FileLock();
  bool held() const { return static_cast<bool>(file_); }

 private:
  FileDescriptor file_;
};

// Files that a person may look at. `what` names the kind of file in messages. Every failure is a UsageError.

std::string read_file(const std::string& path, std::string_view what);

/// Gives every line of a file that is not empty to `read`, whose UsageErrors get "<path>:<number>: " in front.
void read_lines(const std::string& path, std::string_view what, const std::function<void(std::string_view)>& read);

/// The file that `path` stands for: the last name is followed while it is a symbolic link.
std::string resolve_links(const std::string& path, std::string_view what);

/// `replace_at` for a path. A symbolic link stays, its target is replaced; a file that exists keeps its mode.
void write_file_atomically(const std::string& path, std::string_view content, std::string_view what);

}  // namespace isofold
