#pragma once
#include <isofold/codegen/spec.hpp>
#include <isofold/export.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace ISOFOLD_API isofold {

/// A function that Specs call, as a sequence of exact operations: what every backend computes, so that all give the same
/// bits. Definitions and their measured accuracy: tools/functions/functions.txt.
struct Function {
  std::string name;
  std::vector<std::string> parameters;  // binary32
  std::vector<Node> nodes;              // Op::parameter and scalar operations, in order; calls of functions before it
  std::vector<Type> types;              // of the nodes
  int result = -1;
};

/// Nodes of a definition at most.
inline constexpr std::size_t max_function_nodes = 256;

/// All functions, in the order of their definitions. Thread-safe.
const std::vector<Function>& functions();

/// Index of the function with this name, or -1.
int find_function(std::string_view name);

}  // namespace isofold
