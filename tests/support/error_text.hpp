#pragma once
#include <isofold/error.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace isofold::testing {

/// Message of the UsageError that `action` throws; "" when it throws none. Anything else it throws goes on.
template <class Action>
std::string usage_error(Action&& action) {
  try {
    std::forward<Action>(action)();
  } catch (const UsageError& error) {
    return error.what();
  }
  return {};
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace isofold::testing
