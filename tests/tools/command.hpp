#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "programs.hpp"
#include "support/temporary_folder.hpp"

namespace isofold::testing {

using Json = nlohmann::json;

/// Runs the built command in a world of its own: cache and HOME in a new folder, no ISOFOLD_* variables but
/// those set.
class CommandWorld {
 public:
  CommandWorld();
  CommandWorld(const CommandWorld&) = delete;
  CommandWorld& operator=(const CommandWorld&) = delete;

  /// A path inside the folder, which goes with the object.
  std::string path(const std::string& name) const { return folder_ / name; }
  void set(const std::string& variable, const std::string& value) {
    variables_.push_back(variable + "=" + value);
  }

  tools::ProgramResult run(std::vector<std::string> arguments) const;
  /// Adds --json; the exit code has to be `status`, and standard output one JSON document.
  Json json(std::vector<std::string> arguments, int status = 0) const;
  /// Runs what has to be refused: exit code 2, nothing on standard output, `words` in the message. The message.
  std::string refused(std::vector<std::string> arguments, const std::string& words) const;
  /// What `inspect --show <what>` prints for 32 rows of 1024 elements; the exit code has to be 0.
  std::string show(const std::string& what, const std::string& device) const;

 private:
  TemporaryFolder folder_;
  std::vector<std::string> variables_;
};

bool has_cpu_backend();
bool has_nvrtc();
/// A Chromium to open pages with; empty where there is none.
std::string browser();

std::string read_text(const std::string& path);
void write_text(const std::string& path, const std::string& text);

}  // namespace isofold::testing
