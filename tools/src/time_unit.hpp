#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "bench_result.hpp"

namespace isofold::tools {

/// What all times of one result are shown in.
enum class TimeUnit : std::uint8_t { microseconds, milliseconds };

/// Milliseconds where the shortest and the longest time of all lines are, in the middle (geometric), at least one.
TimeUnit time_unit(const BenchResult& result);

/// "µs", "ms".
std::string_view name_of(TimeUnit unit);

/// The time in that unit.
double in_unit(double microseconds, TimeUnit unit);

/// In the unit, without its name, three digits that mean something: "2.51", "0.0123", "1530".
std::string time_number(double microseconds, TimeUnit unit);

}  // namespace isofold::tools
