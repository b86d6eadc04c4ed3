#pragma once
#include <string>
#include <vector>

#include "console.hpp"

namespace isofold::tools {

/// What an embedded Python script printed.
struct ScriptRun {
  std::vector<Json> lines;  // the JSON objects, one a line, in order; other lines are left out
  std::string failure;      // why it did not start or did not end well; empty when it did
};

/// Runs `script`, a file name of tools/python, with the first python3 on PATH, and waits. All files of that
/// folder are part of the command and lie beside it, in a folder that goes afterwards.
ScriptRun run_script(const std::string& script, const std::vector<std::string>& arguments);

/// Writes all files of tools/python into a folder.
void write_scripts(const std::string& folder);

/// The value of "versions" where a line has it: "PyTorch 2.11.0, Triton 3.6.0"; else empty.
std::string versions_of(const ScriptRun& run);

}  // namespace isofold::tools
