#include <isofold/codegen/functions.hpp>

#include <algorithm>
#include <utility>

#include "function_parser.hpp"

namespace isofold {

const std::vector<std::pair<std::string_view, std::string_view>>& embedded_functions();

const std::vector<Function>& functions() {
  static const std::vector<Function> all = parse_functions(embedded_functions().front().second);
  return all;
}

int find_function(std::string_view name) {
  const auto& all = functions();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Function& f) { return f.name == name; });
  return found == all.end() ? -1 : static_cast<int>(found - all.begin());
}

}  // namespace isofold
