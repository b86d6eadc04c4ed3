#pragma once
#include <string>
#include <utility>
#include <vector>

namespace isofold::tools {

/// A whole page around `body` (markup): one file, no script, no address, light or dark as its reader has it, from 320 pixels on.
std::string html_page(const std::string& title, const std::string& body);

/// (name, value) rows. Both are plain text.
std::string html_facts(const std::vector<std::pair<std::string, std::string>>& facts);

/// Text as it is, lines unbroken, in a box that scrolls, under a summary that opens it.
std::string html_listing(const std::string& summary, const std::string& text, bool open = false);

/// A table that scrolls sideways where it is wide. Cells are markup; a header that begins with '<' is left-aligned.
std::string html_table(const std::string& caption, const std::vector<std::string>& header,
                       const std::vector<std::vector<std::string>>& rows);

}  // namespace isofold::tools
