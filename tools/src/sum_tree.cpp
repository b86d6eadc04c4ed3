#include "sum_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <isofold/codegen/digest.hpp>
#include <isofold/error.hpp>

namespace isofold::tools {
namespace {

constexpr std::int64_t small = 4096;             // elements up to which every fold is tried
constexpr std::int64_t most_chained = 1 << 14;   // elements of a chain that is looked for

}  // namespace

int SumTree::add_element(std::int64_t element) {
  nodes_.push_back({{}, element, 1});
  return root();
}

int SumTree::add_sum(std::vector<int> children) {
  if (children.size() < 2) throw InternalError("a sum of fewer than two subtrees");
  std::sort(children.begin(), children.end(), [&](int a, int b) { return node(a).first < node(b).first; });
  Node sum{std::move(children), 0, 0};
  sum.first = node(sum.children.front()).first;
  for (const int child : sum.children) sum.size += node(child).size;
  nodes_.push_back(std::move(sum));
  return root();
}

int SumTree::depth() const {
  std::vector<int> depths;
  for (const Node& node : nodes_) {
    int depth = node.children.empty() ? 0 : 1;
    for (const int child : node.children) depth = std::max(depth, 1 + depths[static_cast<std::size_t>(child)]);
    depths.push_back(depth);
  }
  return depths.empty() ? 0 : depths.back();
}

std::vector<std::int64_t> SumTree::elements_of(int index) const {
  std::vector<std::int64_t> elements;
  for (std::vector<int> open = {index}; !open.empty();) {
    const Node& next = node(open.back());
    open.pop_back();
    if (next.children.empty()) elements.push_back(next.first);
    open.insert(open.end(), next.children.begin(), next.children.end());
  }
  std::sort(elements.begin(), elements.end());
  return elements;
}

std::optional<std::vector<std::int64_t>> SumTree::chain(int index) const {
  std::vector<std::int64_t> reversed;
  for (;;) {
    const Node& here = node(index);
    if (here.children.empty()) {
      reversed.push_back(here.first);
      break;
    }
    if (here.children.size() != 2) return std::nullopt;
    const Node& a = node(here.children[0]);
    const Node& b = node(here.children[1]);
    if (a.size > 1 && b.size > 1) return std::nullopt;
    // Of two elements the first in the row begins the chain.
    const bool last_is_b = b.size == 1;
    reversed.push_back(last_is_b ? b.first : a.first);
    index = here.children[last_is_b ? 0 : 1];
  }
  std::reverse(reversed.begin(), reversed.end());
  // Which of the first two began does not show; a chain that goes on downwards has most likely done so from the start.
  if (reversed.size() > 2 && reversed[2] < reversed[0]) std::swap(reversed[0], reversed[1]);
  return reversed;
}

std::vector<std::string> SumTree::digests(bool with_elements) const {
  std::vector<std::string> all;
  for (const Node& node : nodes_) {
    std::string words = node.children.empty() && with_elements ? fmt::format("{}", node.first) : "";
    std::vector<std::string> parts;
    for (const int child : node.children) parts.push_back(all[static_cast<std::size_t>(child)]);
    if (!with_elements) std::sort(parts.begin(), parts.end());
    for (const std::string& part : parts) words += "(" + part + ")";
    all.push_back(isofold::digest(words));
  }
  return all;
}

std::string SumTree::digest() const { return nodes_.empty() ? "" : digests(true).back(); }
std::vector<std::string> SumTree::shapes() const { return digests(false); }

std::optional<float> SumTree::sum(std::span<const float> values) const {
  std::vector<float> sums;
  for (const Node& node : nodes_) {
    if (node.children.size() > 2) return std::nullopt;
    if (node.children.empty())
      sums.push_back(values[static_cast<std::size_t>(node.first)]);
    else
      sums.push_back(sums[static_cast<std::size_t>(node.children[0])] + sums[static_cast<std::size_t>(node.children[1])]);
  }
  return sums.back();
}

SumTree tree_of(const Fold& fold, std::int64_t n) {
  SumTree tree;
  const std::int64_t all_leaves = leaves(fold, n), per_segment = leaves_per_segment(fold, n);
  const auto join = [&](int a, int b) { return a < 0 ? b : b < 0 ? a : tree.add_sum({a, b}); };
  std::vector<int> segments;
  for (std::int64_t segment = 0; segment < fold.segments; ++segment) {
    const std::int64_t first = segment * per_segment, last = std::min(all_leaves, first + per_segment);
    std::vector<int> lanes(static_cast<std::size_t>(fold.lanes), -1);
    for (std::int64_t leaf = first; leaf < last; ++leaf) {
      int& lane = lanes[static_cast<std::size_t>((leaf - first) % fold.lanes)];
      for (std::int64_t element = leaf * fold.leaf; element < std::min(n, (leaf + 1) * fold.leaf); ++element)
        lane = join(lane, tree.add_element(element));
    }
    for (std::size_t half = lanes.size() / 2; half >= 1; half /= 2)
      for (std::size_t lane = 0; lane < half; ++lane) lanes[lane] = join(lanes[lane], lanes[lane + half]);
    segments.push_back(lanes.front());
  }
  for (std::size_t step = 1; step < segments.size(); step *= 2)
    for (std::size_t segment = 0; segment + step < segments.size(); segment += 2 * step)
      segments[segment] = join(segments[segment], segments[segment + step]);
  return tree;
}

std::optional<Fold> fold_of(const SumTree& tree) {
  const std::int64_t n = tree.elements();
  if (n < 1) return std::nullopt;
  const std::string wanted = tree.digest();
  const int depth = tree.depth();
  // The chain that element 0 is in: where trees are large, folds with another one need not be tried.
  std::int64_t chained = 0;
  for (std::size_t i = 0; i < tree.nodes().size(); ++i)
    if (const SumTree::Node& node = tree.nodes()[i]; node.first == 0 && node.size > chained && node.size <= most_chained)
      if (tree.chain(static_cast<int>(i))) chained = node.size;
  for (int leaf = max_leaf; leaf >= 1; leaf /= 2)
    for (int segments = 1; segments <= max_segments; segments *= 2)
      for (int lanes = max_lanes; lanes >= 1; lanes /= 2) {
        const Fold fold{leaf, lanes, segments};
        // Lanes and segments beyond the leaves are not there: a smaller fold is the same tree.
        if (leaf / 2 >= n || segments / 2 >= leaves(fold, n) || lanes / 2 >= leaves_per_segment(fold, n)) continue;
        const std::int64_t lane = leaf * ((leaves_per_segment(fold, n) + lanes - 1) / lanes);
        if (n > small && lane != chained && lane > 1) continue;
        const SumTree made = tree_of(fold, n);
        if (made.depth() == depth && made.digest() == wanted) return fold;
      }
  return std::nullopt;
}

std::string listed(const std::vector<std::int64_t>& numbers) {
  struct Run {
    std::int64_t first, last;
  };
  std::vector<Run> runs;
  for (const std::int64_t number : numbers)
    if (!runs.empty() && runs.back().last + 1 == number)
      runs.back().last = number;
    else
      runs.push_back({number, number});
  constexpr std::size_t most = 3;
  std::string text;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (runs.size() > most + 1 && i == most) {
      text += fmt::format(", ... {}", runs.back().last);
      break;
    }
    text += i == 0 ? "" : ", ";
    text += runs[i].first == runs[i].last ? fmt::format("{}", runs[i].first)
                                          : fmt::format("{}..{}", runs[i].first, runs[i].last);
  }
  return text;
}

}  // namespace isofold::tools
