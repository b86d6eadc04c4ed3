#pragma once
#include <string>

#include "operator_options.hpp"

namespace isofold::tools {

/// An operator and what it is wanted for, as a line of a file or an argument in quotes has it.
struct OperatorLine {
  OperatorOptions op;
  std::string tokens, device;  // empty: not said
};
/// The options of an operator, --tokens and --device, split as a shell splits words. UsageError that quotes `line`.
OperatorLine parse_operator_line(const std::string& line);

}  // namespace isofold::tools
