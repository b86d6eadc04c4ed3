#pragma once
#include <isofold/codegen/quantize.hpp>

#include <string>
#include <string_view>

namespace isofold {

/// Statements that store `value`, a name, as the output y, and the row's scale. Throws UsageError for a dtype that is not
/// e4m3 or i8 and a static scale that is not positive and finite. `operation` names the caller in messages.
std::string quantized_output(std::string_view operation, const Quantize& quantize, std::string_view value);

}  // namespace isofold
