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
  /// `nodes` and `inputs` outlive the object; `types` holds the type of each node.
  CudaExpression(const std::vector<Node>& nodes, const std::vector<Tensor>& inputs, std::vector<Type> types, CudaHelpers& helpers)
      : nodes_(nodes), inputs_(inputs), types_(std::move(types)), helpers_(helpers) {}
  /// What the text says where it needs the number of elements of the thread's row.
  void set_row_length(std::string expression) { row_length_ = std::move(expression); }
  /// From here on node `index` is printed as `expression`, a variable or an element of an array.
  void bind(int index, std::string expression) { bound_[index] = std::move(expression); }
  void unbind(int index) { bound_.erase(index); }
  void unbind_all() { bound_.clear(); }
  bool is_bound(int index) const { return bound_.count(index) != 0; }
  std::string print(int index) const;
  /// "float" ("double" in Specs of f64), "int" or "bool".
  const char* type(int index) const;
  /// A literal that compilers read back exactly, of binary32 or binary64.
  static std::string literal(double value, bool wide);

 private:
  std::string printed_integers(const Node& node) const;
  std::string printed_division(const Node& node) const;
  std::string printed_choice(const Node& node) const;
  std::string printed_bits(const Node& node) const;
  std::string literal(double value) const { return literal(value, helpers_.is_wide()); }

  const std::vector<Node>& nodes_;
  const std::vector<Tensor>& inputs_;
  std::vector<Type> types_;
  CudaHelpers& helpers_;
  std::map<int, std::string> bound_;
  std::string row_length_ = "ROW_LENGTH";
  bool in_function_ = false;

  friend std::string cuda_function(const Function& function, CudaHelpers& helpers);
};

/// The device function `exact_<name>` of a definition; notes in `helpers` what it uses.
std::string cuda_function(const Function& function, CudaHelpers& helpers);

}  // namespace isofold
