#pragma once
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "sum_tree.hpp"

namespace isofold::tools {

/// A tree as it is drawn: what is wide is folded into one line.
struct Branch {
  enum class Kind {
    joined,   // of its children
    element,  // one number
    chain,    // numbers that are added one after the other
    folded,   // more of the tree, not drawn
    skipped   // has no element
  };
  Kind kind = Kind::element;
  std::string label = {};  // of everything but `joined`
  std::vector<Branch> children = {};
};

/// The way of the first element to the sum is drawn whole, the subtrees that it meets are folded.
Branch branch_of(const SumTree& tree);

/// One line for each drawn end of the tree, from top to bottom; `result` is what the root is called ("sum").
std::vector<std::string> branch_lines(const Branch& root, const std::string& result);

/// The same as SVG elements without an <svg> around them, with the upper left corner at (0, 0), and how large they are. The
/// classes are those of `branch_css`.
struct BranchPicture {
  std::string svg;
  double width = 0, height = 0;
};
BranchPicture branch_picture(const Branch& root, const std::string& result);

/// The marks of `branch_picture`, 14 x 14 pixels, and what they mean.
std::vector<std::pair<std::string, std::string>> branch_marks();
/// The same as a line of such a picture.
BranchPicture branch_legend();

std::string branch_css();

}  // namespace isofold::tools
