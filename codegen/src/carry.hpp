#pragma once
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/spec.hpp>

#include <cstddef>
#include <vector>

namespace isofold {

/// Rounds of a kernel's loop over leaves that are loaded together, at most.
inline constexpr int most_rounds_of_a_batch = 8;

/// A value of the row that is kept for later passes or outputs, in the smallest form that keeps its bits: an input as it
/// was stored, a rounded value in its dtype, anything else in binary32.
struct Carried {
  int node = -1;
  DType dtype = DType::f32;
  int pass = 0;  // in which it is made
};

/// Values of the first pass that are needed after it, in node order. Inputs of column extent are never carried: they are
/// read where they are used. Integers and truth values are computed again.
std::vector<Carried> carried_values(const Spec& spec);

/// Values of later passes that call functions and are needed again: computing them twice costs more than registers.
std::vector<Carried> kept_calls(const Spec& spec);

/// Those take more registers than what they are made from: 16-bit rows, whose calls have 32 bits.
bool keeps_more_than_it_carries(const Spec& spec, const Fold& fold);

/// What a reduction takes from an element: its operand, or the two factors of a product.
std::vector<int> taken_by(const Spec& spec, int reduction);

/// Needed for `root`, without what only values that are known for the whole row need.
std::vector<bool> needed_along_row(const Spec& spec, int root);

/// For every input: do the reductions of the first pass take it? None where there are no reductions.
std::vector<bool> read_by_first_pass(const Spec& spec);

/// 32-bit words that hold one leaf of a dtype.
int words_per_leaf(DType dtype, const Fold& fold);

}  // namespace isofold
