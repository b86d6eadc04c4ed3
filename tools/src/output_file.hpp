#pragma once
#include <string>

namespace isofold::tools {

/// Makes the folder of a file that will be written, and throws UsageError when the file cannot be: better
/// before a measurement than after it. Nothing else is made.
void check_output_file(const std::string& path);

}  // namespace isofold::tools
