#pragma once
#include <isofold/runtime.hpp>

#include <cstdint>
#include <vector>

namespace isofold::testing {

// What an operator promises, checked with doctest on whichever device the runtime is for.

/// Row lengths and offsets of tensors, every combination.
struct Grid {
  std::vector<std::int64_t> lengths;
  std::vector<std::int64_t> offsets;  // in elements
};

/// RMSNorm of every length and offset, against the oracle, between canaries; odd combinations also with padded rows.
void check_shapes(const Runtime& runtime, DType dtype, const Grid& grid);
/// The same of every named operator, each length in one dtype.
void check_named_shapes(const Runtime& runtime, const Grid& grid);

/// `rows` hard rows, each alone, against the oracle; then the same rows in batches of the given sizes, which
/// must give the same bytes: batches that begin with the first row, and batches that begin somewhere and so
/// move every row.
void check_batches(const Operator& op, const Runtime& runtime, std::int64_t rows,
                   const std::vector<std::int64_t>& batches);

/// Both sides of every boundary of the operator's table, up to `most` tokens.
std::vector<std::int64_t> around_boundaries(const Operator& op, std::int64_t most);

/// Each output in the place of each row input of its dtype, in all combinations without a second use.
void check_in_place(const Runtime& runtime, const Spec& spec);
/// The same of every named operator over rows of n elements.
void check_named_in_place(const Runtime& runtime, std::int64_t n);
/// Every named operator's rows alone and in batches.
void check_named_batches(const Runtime& runtime, std::int64_t n);

}  // namespace isofold::testing
