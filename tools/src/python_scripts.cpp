#include "python_scripts.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "files.hpp"
#include "programs.hpp"

namespace isofold {

/// The files of tools/python, which are part of the command; the build makes it.
const std::vector<std::pair<std::string_view, std::string_view>>& embedded_scripts();

namespace tools {
namespace {

/// The last line that says something, for a script that failed.
std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \n");
  if (end == text.npos) return "no message";
  const std::size_t start = text.rfind('\n', end);
  const std::size_t first = start == text.npos ? 0 : start + 1;
  return text.substr(first, end - first + 1);
}

}  // namespace

void write_scripts(const std::string& folder) {
  for (const auto& [name, text] : embedded_scripts())
    write_file_atomically(folder + "/" + std::string(name), std::string(text), "script");
}

ScriptRun run_script(const std::string& script, const std::vector<std::string>& arguments) {
  ScriptRun run;
  const auto python = find_program("python3");
  if (!python) {
    run.failure = "there is no python3 on PATH";
    return run;
  }
  const TemporaryFolder folder;
  write_scripts(folder.path());
  std::vector<std::string> command = {*python, folder.path() + "/" + script};
  command.insert(command.end(), arguments.begin(), arguments.end());
  const ProgramResult result = run_program(command);
  if (result.status != 0) run.failure = fmt::format("the script failed: {}", last_line(result.errors));
  for (std::size_t start = 0; start < result.output.size();) {
    const std::size_t end = std::min(result.output.find('\n', start), result.output.size());
    Json json = Json::parse(result.output.substr(start, end - start), nullptr, false);
    if (json.is_object()) run.lines.push_back(std::move(json));
    start = end + 1;
  }
  return run;
}

std::string versions_of(const ScriptRun& run) {
  for (const Json& line : run.lines)
    if (line.contains("versions")) return line.at("versions").get<std::string>();
  return {};
}

}  // namespace tools
}  // namespace isofold
