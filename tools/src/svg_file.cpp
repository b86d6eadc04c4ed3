#include "svg_file.hpp"

#include <fmt/format.h>

#include "chart_panel.hpp"

namespace isofold::tools {

std::string svg_text(const SvgFile& file) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "role=\"{2}\" aria-label=\"{3}\">\n<style>\n{4}{5}"
      "@media (max-width:{0:.0f}px){{svg{{max-width:100%;height:auto}}}}\n</style>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"var(--paper)\"/>\n{6}</svg>\n",
      file.width, file.height, file.role, escaped(file.label), chart_css("svg"), file.css, file.body);
}

}  // namespace isofold::tools
