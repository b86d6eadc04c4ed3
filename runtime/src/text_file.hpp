#pragma once
#include <string>
#include <string_view>

#include "disk_cache.hpp"

namespace isofold {

// Files that a person may look at. `what` names the kind of file in messages. Every failure is a UsageError.

std::string read_file(const std::string& path, std::string_view what);

/// Temporary file beside `path`, fsync, rename: a reader sees the old content or the new.
void write_file_atomically(const std::string& path, std::string_view content, std::string_view what);

/// Holds an exclusive flock on a file, which is made when it is missing and never removed.
class FileLock {
 public:
  FileLock(const std::string& path, std::string_view what);

 private:
  FileDescriptor file_;
};

}  // namespace isofold
