#include "tree_drawing.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "chart_panel.hpp"
#include "console.hpp"

namespace isofold::tools {
namespace {

constexpr std::size_t most_siblings = 4;  // of one sum that adds many, drawn
constexpr double row_height = 24, level_width = 26, text_size = 12.5, mark_width = 22;

/// About how wide text is.
double width_of(std::string_view text) { return 0.56 * text_size * static_cast<double>(columns_of(text)); }

std::string chain_label(const std::vector<std::int64_t>& chain) {
  if (chain.size() == 1) return fmt::format("element {}", chain.front());
  if (std::is_sorted(chain.rbegin(), chain.rend()))
    return fmt::format("elements {}: a chain of {}, the last one first",
                       listed(std::vector<std::int64_t>(chain.rbegin(), chain.rend())), chain.size());
  const auto shown = std::is_sorted(chain.begin(), chain.end()) ? listed(chain) : [&] {
    std::string text;
    for (std::size_t i = 0; i < std::min<std::size_t>(chain.size(), 6); ++i)
      text += fmt::format("{}{}", i == 0 ? "" : " then ", chain[i]);
    return text + (chain.size() > 6 ? " then ..." : "");
  }();
  return fmt::format("elements {}: a chain of {}", shown, chain.size());
}


void collect(const Branch& branch, std::vector<const Branch*>& ends) {
  if (branch.children.empty())
    ends.push_back(&branch);
  else
    for (const Branch& child : branch.children) collect(child, ends);
}

/// Sums over the longest way down from here.
int height_of(const Branch& branch) {
  int height = branch.children.empty() ? 0 : 1;
  for (const Branch& child : branch.children) height = std::max(height, 1 + height_of(child));
  return height;
}

/// Text cells of the lines: rows are ends, three columns a level.
class Canvas {
 public:
  Canvas(std::size_t rows, int levels) : rows_(rows, std::vector<std::string>(static_cast<std::size_t>(3 * levels), " ")) {}

  /// Draws the branch whose first end is `row`; gives the row at which it leaves, and the level it has reached.
  std::pair<std::size_t, int> draw(const Branch& branch, std::size_t& row) {
    if (branch.children.empty()) return {row++, 0};
    const int level = height_of(branch);
    std::vector<std::size_t> arrivals;
    for (const Branch& child : branch.children) {
      const auto [at, reached] = draw(child, row);
      for (int cell = 3 * reached; cell < 3 * level - 2; ++cell) put(at, cell, "─");
      arrivals.push_back(at);
    }
    // The sum leaves at its last arrival.
    for (std::size_t at = arrivals.front(); at <= arrivals.back(); ++at) {
      const bool arrives = std::find(arrivals.begin(), arrivals.end(), at) != arrivals.end();
      const bool first = at == arrivals.front(), last = at == arrivals.back();
      put(at, 3 * level - 2, last ? "┴" : !arrives ? "│" : first ? "┐" : "┤");
    }
    put(arrivals.back(), 3 * level - 1, "─");
    return {arrivals.back(), level};
  }

  std::string line(std::size_t row) const {
    std::string text;
    for (const std::string& cell : rows_[row]) text += cell;
    return text;
  }

 private:
  void put(std::size_t row, int cell, const char* text) { rows_[row][static_cast<std::size_t>(cell)] = text; }
  std::vector<std::vector<std::string>> rows_;
};

std::string mark(Branch::Kind kind, double x, double y) {
  switch (kind) {
    case Branch::Kind::chain:
      return fmt::format("<rect class=\"tree-chain\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"14\" height=\"8\" rx=\"2\"/>", x, y - 4);
    case Branch::Kind::folded:
      return fmt::format("<path class=\"tree-folded\" d=\"M{:.1f} {:.1f}l14 -6v12z\"/>", x, y);
    case Branch::Kind::skipped:
      return fmt::format("<path class=\"tree-line\" stroke-dasharray=\"2 3\" d=\"M{:.1f} {:.1f}h14\"/>", x, y);
    default:
      return fmt::format("<circle class=\"tree-element\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>", x + 7, y);
  }
}

/// Draws lines of a branch; gives where its sum is.
std::pair<double, double> draw_lines(const Branch& branch, double left, std::size_t& row, std::string& svg) {
  if (branch.children.empty()) return {left, row_height * (static_cast<double>(row++) + 0.5)};
  const double x = left + level_width * height_of(branch);
  std::vector<std::pair<double, double>> from;
  for (const Branch& child : branch.children) from.push_back(draw_lines(child, left, row, svg));
  for (const auto& [child_x, child_y] : from)
    svg += fmt::format("<path class=\"tree-line\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n", child_x, child_y, x);
  svg += fmt::format("<path class=\"tree-line\" d=\"M{:.1f} {:.1f}V{:.1f}\"/>\n", x, from.front().second, from.back().second);
  const double y = (from.front().second + from.back().second) / 2;
  svg += fmt::format("<circle class=\"tree-sum\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"/>\n", x, y);
  return {x, y};
}

}  // namespace

Branch branch_of(const SumTree& tree) {
  const std::vector<std::string> shapes = tree.shapes();
  const auto shape = [&](int index) -> const std::string& { return shapes[static_cast<std::size_t>(index)]; };
  const auto end = [&](int index, const std::string& like) -> Branch {
    const SumTree::Node& node = tree.node(index);
    if (const auto chain = tree.chain(index))
      return {chain->size() == 1 ? Branch::Kind::element : Branch::Kind::chain, chain_label(*chain)};
    return {Branch::Kind::folded, fmt::format("elements {}: {} of them{}", listed(tree.elements_of(index)), node.size,
                                              shape(index) == like ? ", like what they meet" : "")};
  };
  // From the first element's chain upwards.
  std::vector<int> way = {tree.root()};
  while (!tree.chain(way.back())) way.push_back(tree.node(way.back()).children.front());
  Branch branch = end(way.back(), "");
  for (auto sum = way.rbegin() + 1; sum != way.rend(); ++sum) {
    const std::vector<int>& children = tree.node(*sum).children;
    Branch joined{Branch::Kind::joined, "", {std::move(branch)}};
    for (std::size_t i = 1; i < children.size(); ++i) {
      if (i == most_siblings - 1 && children.size() > most_siblings) {
        joined.children.push_back({Branch::Kind::folded, fmt::format("{} more of this sum", children.size() - i)});
        break;
      }
      joined.children.push_back(end(children[i], shape(children.front())));
    }
    branch = std::move(joined);
  }
  return branch;
}

std::vector<std::string> branch_lines(const Branch& root, const std::string& result) {
  std::vector<const Branch*> ends;
  collect(root, ends);
  std::size_t width = 0;
  for (const Branch* end : ends) width = std::max(width, columns_of(end->label));
  Canvas canvas(ends.size(), height_of(root));
  std::size_t row = 0;
  const std::size_t last = canvas.draw(root, row).first;
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    std::string line = ends[i]->label + std::string(width - columns_of(ends[i]->label) + 1, ' ') + canvas.line(i);
    if (i == last) line += "→ " + result;
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(std::move(line));
  }
  return lines;
}

BranchPicture branch_picture(const Branch& root, const std::string& result) {
  std::vector<const Branch*> ends;
  collect(root, ends);
  double widest = 0;
  for (const Branch* end : ends) widest = std::max(widest, width_of(end->label));
  BranchPicture picture;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const double y = row_height * (static_cast<double>(i) + 0.5);
    picture.svg += fmt::format("{}<text class=\"tree-text\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                               mark(ends[i]->kind, 0, y), mark_width, y + 4, escaped(ends[i]->label));
    picture.svg += fmt::format("<path class=\"tree-guide\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n",
                               mark_width + width_of(ends[i]->label) + 6, y, mark_width + widest + 12);
  }
  const double left = mark_width + widest + 12;
  std::size_t row = 0;
  const auto [x, y] = draw_lines(root, left, row, picture.svg);
  picture.svg += fmt::format("<path class=\"tree-line\" d=\"M{:.1f} {:.1f}h16\"/><text class=\"tree-result\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                             x, y, x + 22, y + 4, escaped(result));
  picture.width = x + 34 + width_of(result) * 1.25;  // it is bold
  picture.height = row_height * static_cast<double>(ends.size());
  return picture;
}

std::vector<std::pair<std::string, std::string>> branch_marks() {
  return {{mark(Branch::Kind::element, 0, 7), "one element"},
          {mark(Branch::Kind::chain, 0, 7), "a chain: one after the other"},
          {mark(Branch::Kind::folded, 0, 7), "more of the tree, not drawn"}};
}

BranchPicture branch_legend() {
  BranchPicture legend;
  legend.height = row_height;
  for (const auto& [mark, words] : branch_marks()) {
    legend.svg += fmt::format("<g transform=\"translate({:.1f} {:.1f})\">{}</g><text class=\"tree-note\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                              legend.width, row_height / 2 - 7, mark, legend.width + mark_width, row_height / 2 + 4, words);
    legend.width += mark_width + width_of(words) + 24;
  }
  return legend;
}

std::string branch_css() {
  return R"(.tree-text,.tree-result,.tree-note{font-size:12.5px}
.tree-result{font-weight:600}
.tree-note{fill:var(--soft)}
.tree-line{fill:none;stroke:var(--ink);stroke-width:1.5}
.tree-guide{stroke:var(--rule-strong);stroke-width:1;stroke-dasharray:1 4}
.tree-sum{fill:var(--isofold)}
.tree-element{fill:var(--isofold)}
.tree-chain{fill:var(--isofold)}
.tree-folded{fill:var(--quiet)}
)";
}

}  // namespace isofold::tools
