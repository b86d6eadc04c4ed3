#pragma once
#include <isofold/runtime.hpp>

#include <cstdint>

namespace isofold::tools {

/// Rows for which all tensors of the Spec take at most half of the memory that is free on the device.
std::int64_t most_rows(const Runtime& runtime, const Spec& spec);

/// UsageError when there is no room for `tokens` rows: better than to run out of memory after minutes.
void check_room(const Runtime& runtime, const Spec& spec, std::int64_t tokens);

/// UsageError when the host has no room for the oracle's `rows` rows of inputs and results.
void check_oracle_room(const Spec& spec, std::int64_t rows);

}  // namespace isofold::tools
