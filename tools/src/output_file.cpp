#include "output_file.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <isofold/error.hpp>
#include <system_error>

namespace isofold::tools {

namespace fs = std::filesystem;

void check_output_file(const Console& console, const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  std::error_code error;
  const bool made = !folder.empty() && fs::create_directories(folder, error);
  if (!error && made) console.remark("made the folder {}", folder.string());
  if (error)
    throw UsageError(fmt::format("cannot write {}: cannot make its folder: {}", path, error.message()));
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status) || path.ends_with('/'))
    throw UsageError(fmt::format("cannot write {}: it is a folder; the name of a file is needed", path));
  if (fs::exists(status) && !fs::is_regular_file(status))
    throw UsageError(fmt::format("cannot write {}: it is not a regular file", path));
  // Files are replaced as a whole, by a new one beside them.
  if (access(folder.empty() ? "." : folder.c_str(), W_OK | X_OK) != 0)
    throw UsageError(fmt::format("cannot write {}: its folder cannot be written: {}", path,
                                 std::error_code(errno, std::generic_category()).message()));
}

}  // namespace isofold::tools
