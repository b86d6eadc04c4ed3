#pragma once
#include <isofold/codegen/spec.hpp>
#include <isofold/export.hpp>

#include <cstdint>
#include <span>
#include <string_view>

namespace ISOFOLD_API isofold {

/// An operator that has a name: `make` gives its Spec for rows of n elements of x's dtype, everything else as its options
/// have it by default. Throws UsageError for n outside 0..max_row_length.
struct NamedOperator {
  std::string_view name;
  std::string_view summary;  // a line for people
  Spec (*make)(std::int64_t n, DType dtype);
};

/// All of them, in a stable order: what the command offers and every test of operators goes through.
std::span<const NamedOperator> named_operators();

}  // namespace isofold
