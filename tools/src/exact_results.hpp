#pragma once
#include <isofold/codegen/spec.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace isofold::tools {

/// What a Spec's formula gives in real numbers, as far as `long double` has them: no value is rounded to
/// binary32, rounding to other dtypes is left out, sums keep what their additions lose, and functions are
/// those of the C++ library.
///
/// `inputs` are dense rows in the Spec's order; one vector for each output, row by row. Throws UsageError for
/// a Spec that speaks of bit patterns, which real numbers have not. Thread-safe; the work is shared out over
/// all CPUs.
std::vector<std::vector<long double>> exact_results(const Spec& spec, std::int64_t rows,
                                                    std::span<const std::vector<std::byte>> inputs);

/// Can the value of this node be what is left of larger numbers, as x - mean is? Then it may be next to 0
/// with an error that is no smaller than that of other elements.
bool may_cancel(const Spec& spec, int node);

}  // namespace isofold::tools
