#pragma once
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/schedule.hpp>
#include <isofold/codegen/spec.hpp>

#include <cstdint>
#include <functional>
#include <string>

namespace isofold::testing {

/// Gives a number below its argument: from a seeded generator, or from a property test that can shrink it.
using Choose = std::function<std::uint64_t(std::uint64_t)>;

/// The text of a well-formed Spec: one to three inputs, expressions of every operation, one to three outputs,
/// N from 1 to `longest`.
std::string random_spec_text(const Choose& choose, std::int64_t longest);

/// A well-formed fold with at most `most` lanes and segments.
Fold random_fold(const Choose& choose, int most);

/// A schedule whose text parses back; a Spec, Fold and device may forbid it.
GpuSchedule random_gpu_schedule(const Choose& choose);

}  // namespace isofold::testing
