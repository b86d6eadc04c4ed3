#pragma once
#include <isofold/export.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace ISOFOLD_API isofold {

/// XXH3-128 of `bytes` as 32 lower-case hexadecimal digits. Fast and well distributed, not cryptographic: whoever
/// looks something up by digest also compares the full text.
std::string digest(std::string_view bytes);

}  // namespace isofold
