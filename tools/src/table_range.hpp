#pragma once
#include <isofold/tuning_table.hpp>

#include <cstdint>

namespace isofold::tools {

/// What the record says of a token count. It has at least one range.
inline const TableRange& range_of(const TableRecord& record, std::int64_t tokens) {
  const TableRange* range = &record.ranges.front();
  for (const TableRange& next : record.ranges)
    if (next.first_tokens <= tokens) range = &next;
  return *range;
}

}  // namespace isofold::tools
