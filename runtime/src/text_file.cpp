#include "text_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <fmt/format.h>
#include <isofold/error.hpp>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

namespace isofold {
namespace {

[[noreturn]] void refuse(std::string_view what, std::string_view action, const std::string& path) {
  throw UsageError(fmt::format("{}: cannot {} {}: {}", what, action, path, std::strerror(errno)));
}

}  // namespace

std::string read_file(const std::string& path, std::string_view what) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  if (file) content << file.rdbuf();
  if (!file || file.bad()) refuse(what, "read", path);
  return std::move(content).str();
}

void write_file_atomically(const std::string& path, std::string_view content, std::string_view what) {
  const std::string temporary = fmt::format("{}.{}.new", path, ::getpid());
  {
    const FileDescriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!file) refuse(what, "write", temporary);
    const auto fail = [&] {
      const int error = errno;
      ::unlink(temporary.c_str());
      errno = error;
      refuse(what, "write", temporary);
    };
    while (!content.empty()) {
      const ssize_t written = ::write(file.get(), content.data(), content.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail();
      content.remove_prefix(static_cast<std::size_t>(written));
    }
    if (::fsync(file.get()) != 0) fail();
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    errno = error;
    refuse(what, "replace", path);
  }
}

FileLock::FileLock(const std::string& path, std::string_view what)
    : file_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
  if (!file_) refuse(what, "open", path);
  while (::flock(file_.get(), LOCK_EX) != 0)
    if (errno != EINTR) refuse(what, "lock", path);
}

}  // namespace isofold
