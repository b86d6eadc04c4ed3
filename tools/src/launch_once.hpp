#pragma once
#include <isofold/runtime.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "operator_options.hpp"

namespace isofold::tools {

/// Raw outputs of one launch over `rows` dense rows, in the Spec's order, as `inputs` are.
std::vector<std::vector<std::byte>> launch_once(const Runtime& runtime, const Problem& problem,
                                                std::int64_t rows,
                                                std::span<const std::span<const std::byte>> inputs);

}  // namespace isofold::tools
