#pragma once
#include <string>
#include <string_view>

namespace isofold::tools {

/// What a picture is in a file of its own.
struct SvgFile {
  double width, height;        // in CSS pixels; in a narrower window it shrinks to fit
  std::string role, label;     // for screen readers; the label is plain text
  std::string css;             // beside that of chart_css
  std::string body;            // elements
};

/// A complete SVG file, light and dark.
std::string svg_text(const SvgFile& file);

}  // namespace isofold::tools
