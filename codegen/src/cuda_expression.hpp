#pragma once
#include <isofold/codegen/functions.hpp>
#include <isofold/codegen/spec.hpp>

#include <map>
#include <string>
#include <vector>

#include "cuda_helpers.hpp"

namespace isofold {

/// Prints the nodes of a Spec, or of a function's definition, as CUDA expressions of exact intrinsics.
class CudaExpression {
 public:
  /// `nodes` outlive the object; `types` holds the type of each.
  CudaExpression(const std::vector<Node>& nodes, std::vector<Type> types, CudaHelpers& helpers)
      : nodes_(nodes), types_(std::move(types)), helpers_(helpers) {}
  /// From here on node `index` is printed as `expression`, a variable or an element of an array.
  void bind(int index, std::string expression) { bound_[index] = std::move(expression); }
  void unbind(int index) { bound_.erase(index); }
  bool is_bound(int index) const { return bound_.count(index) != 0; }
  std::string print(int index) const;
  /// "float", "int" or "bool".
  const char* type(int index) const;
  /// A binary32 literal that compilers read back exactly.
  static std::string literal(float value);

 private:
  std::string printed_integers(const Node& node) const;
  std::string printed_division(const Node& node) const;

  const std::vector<Node>& nodes_;
  std::vector<Type> types_;
  CudaHelpers& helpers_;
  std::map<int, std::string> bound_;
};

/// The device function `exact_<name>` of a definition; notes in `helpers` what it uses.
std::string cuda_function(const Function& function, CudaHelpers& helpers);

}  // namespace isofold
