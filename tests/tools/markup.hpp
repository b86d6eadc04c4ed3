#pragma once
#include <string>
#include <string_view>

namespace isofold::testing {

/// Empty when `text` is well-formed XML as far as tags, attributes and entities go, else what is wrong and
/// where. A document type line and the content of <style> pass as they are.
std::string markup_fault(std::string_view text);

}  // namespace isofold::testing
