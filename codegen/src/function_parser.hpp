#pragma once
#include <isofold/codegen/functions.hpp>

#include <string_view>
#include <vector>

namespace isofold {

/// Reads definitions `name(a, b) { value = expression; ...; expression }` one after another, in the language of Specs;
/// each may call those before it. `#` begins a comment. Throws UsageError that quotes the place.
std::vector<Function> parse_functions(std::string_view text);

}  // namespace isofold
