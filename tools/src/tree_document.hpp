#pragma once
#include <string>
#include <vector>

#include "tree_drawing.hpp"

namespace isofold::tools {

/// A tree to be drawn, under a title.
struct TreePicture {
  std::string title;
  Branch root;
  std::string result = "sum";
};

/// A complete SVG file of trees one below the other, light or dark as its reader has it.
std::string trees_svg(const std::string& title, const std::vector<TreePicture>& pictures);

/// The same trees as parts of a page: each an <svg> that scrolls sideways where it is wide.
std::string trees_html(const std::vector<TreePicture>& pictures);

}  // namespace isofold::tools
