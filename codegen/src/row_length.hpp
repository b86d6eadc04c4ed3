#pragma once
#include <isofold/codegen/spec.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <cstdint>
#include <string_view>

namespace isofold {

/// Throws UsageError for n outside 0..max_row_length.
inline void check_row_length(std::string_view operation, std::int64_t n) {
  if (n < 0 || n > max_row_length)
    throw UsageError(fmt::format("{}: n is {}, allowed is 0 to {}", operation, n, max_row_length));
}

}  // namespace isofold
