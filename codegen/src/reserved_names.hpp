#pragma once
#include <string_view>

namespace isofold {

/// Can a Spec not use this name, because generated code would read it as something else: a word of C++ or CUDA, or a name
/// that the emitters make themselves?
bool is_reserved_name(std::string_view name);

}  // namespace isofold
