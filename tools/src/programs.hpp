#pragma once
#include <optional>
#include <string>
#include <vector>

namespace isofold::tools {

/// Full path of a program: PATH first, then the folders given; nothing when it is in none.
std::optional<std::string> find_program(const std::string& name,
                                        const std::vector<std::string>& folders = {});

/// Folders where CUDA toolkits keep their programs.
std::vector<std::string> cuda_program_folders();

struct ProgramResult {
  int status = 0;  ///< exit code; 128 + the signal when it was killed, 127 when it did not start
  std::string output;
  std::string errors;
};

/// Runs a program without a shell, with no standard input, and waits. Throws UsageError when no process can
/// be started.
ProgramResult run_program(const std::vector<std::string>& command);

/// A file with a name of its own that is removed with the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content);
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile();
  const std::string& path() const { return path_; }
  /// All of it. Throws UsageError when it is not there any more.
  std::string read() const;

 private:
  std::string path_;
};

/// A new folder that is removed with the object, and all that is in it. Throws UsageError when none can be
/// made.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace isofold::tools
