#pragma once
#include <string_view>
#include <utility>
#include <vector>

namespace isofold {

/// The shipped tuning tables, each a file's name and its lines: runtime/tables as it was when the library was built.
const std::vector<std::pair<std::string_view, std::string_view>>& embedded_tables();

}  // namespace isofold
