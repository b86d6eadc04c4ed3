#pragma once
#include <isofold/codegen/spec.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace isofold {

/// What a Spec's text writes as a call: an operation, a function, a rounding, or `at(x, place)`, whose x is a
/// tensor of the node and no operand.
struct CalledOperation {
  Node node;                       // without operands
  std::vector<std::string> forms;  // types of the operands and then of the result, as in op_table
  std::size_t operands() const { return forms.front().size() - 1; }
};

std::optional<CalledOperation> find_called_operation(std::string_view name);

/// Name in the text of a node that is such a call.
std::string_view called_name(const Node& node);

/// All names, for messages.
std::string called_names();

}  // namespace isofold
