#pragma once
#include <isofold/codegen/spec.hpp>

#include <cstdint>
#include <vector>

namespace isofold {

/// A row input x that a Spec uses only as `where(less(index, limit), x, c)`: its words can be masked where they were loaded,
/// and are that value from there on.
struct MaskedInput {
  int node = -1;             // the choice
  int tensor = -1;           // x, of f32, bf16 or f16
  int limit = -1;            // node: the same along the row, and known before the first pass over it
  double constant = 0;       // c, which x's dtype holds exactly
  std::uint32_t filler = 0;  // a word full of c
};

/// In node order. What an input's single elements (`at`) are used for does not matter: they are read apart from the row.
std::vector<MaskedInput> masked_inputs(const Spec& spec);

/// The Spec in which those choices are the inputs themselves, with their limits as operand `a`; other nodes keep their places.
/// For what generates code: it breaks the rules of a Spec that a person writes.
Spec with_masked_inputs(const Spec& spec);

}  // namespace isofold
