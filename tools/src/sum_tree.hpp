#pragma once
#include <isofold/codegen/fold.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace isofold::tools {

/// The order in which n elements are added: a tree whose leaves are the elements 0 .. n - 1 and whose inner nodes add two
/// subtrees, or, where an instruction adds several numbers at once, more. Children stand in the order of their smallest
/// elements, since a + b is b + a; so equal trees are equal objects.
class SumTree {
 public:
  struct Node {
    std::vector<int> children;    // indices of earlier nodes; none for an element
    std::int64_t first = 0;       // the smallest element
    std::int64_t size = 1;        // elements
    bool operator==(const Node&) const = default;
  };

  /// An element, or the sum of earlier nodes; gives its index. The last one added is the root.
  int add_element(std::int64_t element);
  int add_sum(std::vector<int> children);

  const std::vector<Node>& nodes() const { return nodes_; }
  const Node& node(int index) const { return nodes_[static_cast<std::size_t>(index)]; }
  int root() const { return static_cast<int>(nodes_.size()) - 1; }
  std::int64_t elements() const { return nodes_.empty() ? 0 : nodes_.back().size; }
  /// Additions on the longest way from an element to the sum.
  int depth() const;
  /// Elements under a node, ascending.
  std::vector<std::int64_t> elements_of(int index) const;
  /// The elements of a chain, in the order in which they are added: every sum has one subtree that is an element, beside the
  /// rest of the chain. Nothing when it is none. The first two are in the order of the others.
  std::optional<std::vector<std::int64_t>> chain(int index) const;

  /// Digest of the tree: equal for equal trees. Of `shapes`, equal ones have the same form with other elements.
  std::string digest() const;
  std::vector<std::string> shapes() const;

  /// The sum of binary32 numbers in this order, when no node adds more than two; nothing else.
  std::optional<float> sum(std::span<const float> values) const;

 private:
  std::vector<std::string> digests(bool with_elements) const;
  std::vector<Node> nodes_;
};

/// The tree of a fold over rows of n (1 or more) elements.
SumTree tree_of(const Fold& fold, std::int64_t n);

/// The fold whose tree this is; the one with the longest leaves and the most lanes where several have it.
std::optional<Fold> fold_of(const SumTree& tree);

/// Ascending numbers in few words: "0..7", "3, 35, 67, ... 995".
std::string listed(const std::vector<std::int64_t>& numbers);

}  // namespace isofold::tools
