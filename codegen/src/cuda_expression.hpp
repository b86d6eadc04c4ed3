#pragma once
#include <isofold/codegen/spec.hpp>

#include <map>
#include <string>

#include "cuda_helpers.hpp"

namespace isofold {

/// Prints Spec nodes as CUDA expressions of exact intrinsics.
class CudaExpression {
 public:
  CudaExpression(const Spec& spec, CudaHelpers& helpers) : spec_(spec), helpers_(helpers) {}
  /// From here on node `index` is printed as `expression`, a variable or an element of an array.
  void bind(int index, std::string expression) { bound_[index] = std::move(expression); }
  void unbind(int index) { bound_.erase(index); }
  bool is_bound(int index) const { return bound_.count(index) != 0; }
  std::string print(int index) const;
  /// A binary32 literal that compilers read back exactly.
  static std::string literal(float value);

 private:
  const Spec& spec_;
  CudaHelpers& helpers_;
  std::map<int, std::string> bound_;
};

}  // namespace isofold
