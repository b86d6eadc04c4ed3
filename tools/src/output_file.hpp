#pragma once
#include <string>

#include "console.hpp"

namespace isofold::tools {

/// Makes the folder of a file that will be written, with a remark when it was not there, and throws UsageError when the file
/// cannot be written: better before a measurement than after it. Nothing else is made.
void check_output_file(const Console& console, const std::string& path);

}  // namespace isofold::tools
