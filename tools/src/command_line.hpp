#pragma once
#include "console.hpp"

namespace isofold::tools {

/// Reads the command line and does what it says: an ExitCode. Sets the console's --json and --quiet. Throws
/// what the sub-commands throw.
int run_command_line(int argc, char** argv, Console& console);

}  // namespace isofold::tools
