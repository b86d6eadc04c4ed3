#include "tree_document.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "chart_panel.hpp"
#include "console.hpp"
#include "svg_file.hpp"

namespace isofold::tools {

std::string trees_svg(const std::string& title, const std::vector<TreePicture>& pictures) {
  constexpr double margin = 24;
  double width = margin * 2 + 9 * static_cast<double>(columns_of(title)), height = 40;
  std::string body = fmt::format("<text class=\"title\" x=\"{:.0f}\" y=\"{:.0f}\">{}</text>\n", margin, height - 8, escaped(title));
  const auto place = [&](const BranchPicture& picture) {
    body += fmt::format("<g transform=\"translate({:.0f} {:.0f})\">\n{}</g>\n", margin, height, picture.svg);
    width = std::max(width, picture.width + 2 * margin);
    height += picture.height;
  };
  for (const TreePicture& picture : pictures) {
    height += 26;
    body += fmt::format("<text class=\"panel-title\" x=\"{:.0f}\" y=\"{:.0f}\">{}</text>\n", margin, height - 8, escaped(picture.title));
    width = std::max(width, margin * 2 + 7.5 * static_cast<double>(columns_of(picture.title)));
    place(branch_picture(picture.root, picture.result));
  }
  height += 14;
  place(branch_legend());
  height += margin / 2;
  return svg_text({width, height, "img", title, branch_css() + ".title{font-size:17px;font-weight:600}\n", body});
}

std::string trees_html(const std::vector<TreePicture>& pictures) {
  std::string html;
  const auto add = [&](const BranchPicture& picture, const std::string& title) {
    html += fmt::format(
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{2}\"><svg width=\"{0:.0f}\" height=\"{1:.0f}\" "
        "viewBox=\"0 0 {0:.0f} {1:.0f}\" role=\"img\" aria-label=\"{2}\">\n{3}</svg></div>\n",
        picture.width, picture.height, escaped(title), picture.svg);
  };
  for (const TreePicture& picture : pictures) {
    if (!picture.title.empty()) html += fmt::format("<h3>{}</h3>\n", escaped(picture.title));
    add(branch_picture(picture.root, picture.result), picture.title.empty() ? "The reduction tree" : picture.title);
  }
  html += "<ul class=\"legend\">\n";
  for (const auto& [mark, words] : branch_marks())
    html += fmt::format("<li><svg width=\"16\" height=\"14\" aria-hidden=\"true\">{}</svg> {}</li>\n", mark, words);
  return html + "</ul>\n";
}

}  // namespace isofold::tools
