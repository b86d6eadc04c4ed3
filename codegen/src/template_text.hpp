#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace isofold {

using Markers = std::vector<std::pair<std::string_view, std::string>>;

/// The text of template `name` (without ".cu.in") with every @marker@ replaced. A marker alone on its line takes a text
/// of several lines, indented as the marker is; an empty text removes that line. An unknown or unused marker, or an
/// unknown template, is an InternalError for the embedded templates and a UsageError for those of a user's folder.
std::string fill_template(std::string_view name, const Markers& markers);

/// `text` with `spaces` before every line that is not empty.
std::string indent(std::string_view text, int spaces);

}  // namespace isofold
