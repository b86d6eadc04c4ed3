#include "programs.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <isofold/error.hpp>
#include <iterator>

extern char** environ;

namespace isofold::tools {
namespace {

namespace fs = std::filesystem;

bool is_program(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

/// A pattern for mkstemp and mkdtemp.
std::string temporary_name() {
  std::error_code error;
  const fs::path folder = fs::temp_directory_path(error);
  return (error ? fs::path("/tmp") : folder).string() + "/isofold-XXXXXX";
}

}  // namespace

std::optional<std::string> find_program(const std::string& name, const std::vector<std::string>& folders) {
  const char* variable = std::getenv("PATH");
  std::string path = variable ? variable : "/usr/local/bin:/usr/bin:/bin";
  for (const std::string& folder : folders) path += ":" + folder;
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find(':', start), path.size());
    const std::string candidate = path.substr(start, end - start) + "/" + name;
    if (end > start && is_program(candidate)) return candidate;
    start = end + 1;
  }
  return std::nullopt;
}

std::vector<std::string> cuda_program_folders() {
  std::vector<std::string> folders = {"/usr/local/cuda/bin"};
  std::error_code error;
  for (const auto& item : fs::directory_iterator("/usr/local", error))
    if (item.path().filename().string().starts_with("cuda-"))
      folders.push_back(item.path().string() + "/bin");
  return folders;
}

ProgramResult run_program(const std::vector<std::string>& command) {
  const TemporaryFile output("");
  const TemporaryFile errors("");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.path().c_str(), O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.path().c_str(), O_WRONLY, 0);
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int failure = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return {127, "", command[0] + " cannot be started"};
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
  }
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return {code, output.read(), errors.read()};
}

TemporaryFile::TemporaryFile(const std::string& content) : path_(temporary_name()) {
  const int file = mkstemp(path_.data());
  if (file < 0) throw UsageError("no temporary file can be made as " + path_ + " (set TMPDIR)");
  close(file);
  std::ofstream stream(path_, std::ios::binary);
  stream << content;
  if (!stream.flush()) throw UsageError("the temporary file " + path_ + " cannot be written");
}

TemporaryFile::~TemporaryFile() {
  std::error_code error;
  fs::remove(path_, error);
}

TemporaryFolder::TemporaryFolder() : path_(temporary_name()) {
  if (mkdtemp(path_.data()) == nullptr)
    throw UsageError("no temporary folder can be made as " + path_ + " (set TMPDIR)");
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  fs::remove_all(path_, error);
}

std::string TemporaryFile::read() const {
  std::ifstream file(path_, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad()) throw UsageError("the temporary file " + path_ + " cannot be read");
  return content;
}

}  // namespace isofold::tools
