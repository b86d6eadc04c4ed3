#pragma once
#include <isofold/codegen/plan.hpp>
#include <isofold/export.hpp>

#include <cstdint>
#include <vector>

namespace ISOFOLD_API isofold {

/// Every schedule worth trying for (spec, fold) on the device, as plans, in an order that never changes. `vector_limit`
/// bounds elements per memory access: what the alignment of pointers and strides allows (see `max_vector`).
std::vector<Plan> candidates(const Spec& spec, const Fold& fold, const DeviceTraits& device, int vector_limit = max_leaf);

/// Most elements per access that row length n and byte alignments allow: a power of two that divides n, for which
/// every access is aligned to its size. `alignment` is in elements: the largest power of two that divides every
/// pointer offset and row stride.
int max_vector(const Spec& spec, const Fold& fold, std::int64_t alignment);

/// Folds that `tune --folds` compares the default with: the trees that are natural for some launch shape.
std::vector<Fold> fold_family(const Spec& spec);

}  // namespace isofold
