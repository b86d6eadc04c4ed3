#pragma once
#include <isofold/codegen/quantize.hpp>

#include <string>
#include <string_view>

namespace isofold {

/// The scale among a Spec's inputs, after a comma; empty when it is none.
std::string quantized_input(const Quantize& quantize);

/// Statements that store `value`, a name, as the output y of that extent (empty: rows by themselves), and the row's scale. With a scale of the row's own
/// `factor` may name a number >= 0 of the row that the values are yet to be multiplied by. Throws UsageError for a dtype that is not
/// e4m3 or i8 and a static scale that is not positive and finite. `operation` names the caller in messages.
std::string quantized_output(std::string_view operation, const Quantize& quantize, std::string_view value,
                             std::string_view extent = "", std::string_view factor = "");

}  // namespace isofold
