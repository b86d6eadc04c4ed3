#include "tree_search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "row_pool.hpp"

namespace isofold::tools {
namespace {

/// Elements that meet at sums of `limit` elements or on the way there: children of one sum, still to be told apart.
struct Group {
  std::vector<std::int64_t> elements;
  std::int64_t limit = 0;
  std::vector<std::unique_ptr<Group>> parts;  // of the sums on the way of the asked element, from the element upwards
  std::unique_ptr<Group> others;              // that first meet the asked element at `limit`: its siblings
};

}  // namespace

SumTree find_tree(std::int64_t n, const SubtreeSizes& ask) {
  if (n < 1) throw NoTree("there are no elements");
  Random random(1);
  Group all;
  for (std::int64_t element = 0; element < n; ++element) all.elements.push_back(element);
  all.limit = n + 1;

  for (std::vector<Group*> round = {&all}; !round.empty();) {
    std::vector<std::pair<std::int64_t, std::int64_t>> questions;
    for (Group* group : round) {
      // The one that is asked for comes first from now on.
      std::swap(group->elements.front(), group->elements[random.below(group->elements.size())]);
      for (std::size_t i = 1; i < group->elements.size(); ++i)
        questions.emplace_back(group->elements.front(), group->elements[i]);
    }
    const std::vector<std::int64_t> answers = ask(questions);
    std::size_t next = 0;
    std::vector<Group*> further;
    for (Group* group : round) {
      std::map<std::int64_t, std::vector<std::int64_t>> by_size;
      for (std::size_t i = 1; i < group->elements.size(); ++i) by_size[answers[next++]].push_back(group->elements[i]);
      std::int64_t size = 1;
      for (auto& [answer, elements] : by_size) {
        auto part = std::make_unique<Group>();
        part->limit = answer;
        part->elements = std::move(elements);
        Group* const made = part.get();
        if (answer == group->limit) {
          group->others = std::move(part);
        } else {
          size += static_cast<std::int64_t>(made->elements.size());
          if (answer != size)
            throw NoTree(fmt::format("element {} meets {} others within sums of {} elements, and no tree has that",
                                     group->elements.front(), size - 1, answer));
          group->parts.push_back(std::move(part));
        }
        further.push_back(made);
      }
    }
    std::erase_if(further, [](const Group* group) { return group->elements.size() == 1; });
    round = std::move(further);
  }

  SumTree tree;
  // Sums of one group: the way of its asked element, and its siblings. Not recursive: chains are long.
  struct Frame {
    const Group* group;
    int way;                  // subtree of the asked element so far
    std::size_t part = 0;     // of the group, next to be joined
    std::vector<int> joined;  // children of the sum that is being made
    std::vector<int> siblings;
  };
  std::vector<Frame> stack;
  std::vector<int> finished;  // what the group that was left last consists of
  stack.push_back({&all, tree.add_element(all.elements.front()), 0, {}, {}});
  bool returned = false;
  for (;;) {
    Frame& frame = stack.back();
    if (returned) {
      returned = false;
      if (frame.part < frame.group->parts.size()) {
        finished.push_back(frame.way);
        frame.way = tree.add_sum(std::move(finished));
        ++frame.part;
      } else {
        frame.siblings = std::move(finished);
      }
      finished.clear();
    }
    const Group* inner = frame.part < frame.group->parts.size() ? frame.group->parts[frame.part].get()
                         : frame.siblings.empty()               ? frame.group->others.get()
                                                                : nullptr;
    if (inner != nullptr) {
      stack.push_back({inner, tree.add_element(inner->elements.front()), 0, {}, {}});
      continue;
    }
    finished = std::move(frame.siblings);
    finished.push_back(frame.way);
    stack.pop_back();
    if (stack.empty()) break;
    returned = true;
  }
  if (finished.size() != 1) throw NoTree("the elements do not all meet");
  return tree;
}

}  // namespace isofold::tools
