#pragma once
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace isofold::testing {

/// Sets variables for as long as it lives.
class Environment {
 public:
  explicit Environment(std::initializer_list<std::pair<const char*, std::string>> variables)
      : variables_(variables) {
    for (const auto& [name, value] : variables_) setenv(name, value.c_str(), 1);
  }
  Environment(const Environment&) = delete;
  ~Environment() {
    for (const auto& [name, value] : variables_) unsetenv(name);
  }

 private:
  std::vector<std::pair<const char*, std::string>> variables_;
};

}  // namespace isofold::testing
