#include "called_operation.hpp"

#include <isofold/codegen/functions.hpp>

#include <fmt/format.h>

#include <utility>

#include "op_table.hpp"

namespace isofold {

std::optional<CalledOperation> find_called_operation(std::string_view name) {
  std::optional<CalledOperation> found(std::in_place);
  for (const OpInfo& info : op_table) {
    if (info.name != name) continue;
    found->node.op = info.op;
    for (const std::string_view form : info.forms)
      if (!form.empty()) found->forms.emplace_back(form);
    return found;
  }
  if (const int function = find_function(name); function >= 0) {
    found->node.op = Op::call;
    found->node.function = function;
    found->forms.emplace_back(functions()[static_cast<std::size_t>(function)].parameters.size() + 1, 'f');
  } else if (const auto dtype = parse_dtype(name)) {
    found->node.op = Op::round;
    found->node.dtype = *dtype;
    found->forms.emplace_back("ff");
  } else if (name == "at") {
    found->node.op = Op::element;
    found->forms.emplace_back("if");
  } else {
    found.reset();
  }
  return found;
}

std::string_view called_name(const Node& node) {
  if (node.op == Op::call) return functions()[static_cast<std::size_t>(node.function)].name;
  if (node.op == Op::round) return name_of(node.dtype);
  return node.op == Op::element ? "at" : op_info(node.op).name;
}

std::string called_names() {
  std::string names;
  for (const OpInfo& info : op_table) names += fmt::format("{}, ", info.name);
  for (const Function& function : functions()) names += fmt::format("{}, ", function.name);
  return names + "at, or a dtype of floats";
}

}  // namespace isofold
