#pragma once
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/spec.hpp>

#include <cstddef>
#include <vector>

namespace isofold {

/// A value of the row that is computed in the first pass and needed again after it, in the smallest form that keeps its
/// bits: an input as it was stored, a rounded value in its dtype, anything else in binary32.
struct Carried {
  int node = -1;
  DType dtype = DType::f32;
};

/// In node order. Inputs of column extent are never carried: they are read where they are used.
std::vector<Carried> carried_values(const Spec& spec);

/// 32-bit words that hold one leaf of a dtype.
int words_per_leaf(DType dtype, const Fold& fold);

}  // namespace isofold
