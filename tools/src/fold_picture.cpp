#include "fold_picture.hpp"

#include <algorithm>
#include <bit>
#include <memory>

namespace isofold::tools {
namespace {

/// Numbers that the picture and the steps share.
struct Sizes {
  Sizes(const Spec& spec, const Fold& fold)
      : n(spec.n),
        leaf(fold.leaf),
        leaves(isofold::leaves(fold, spec.n)),
        lanes(fold.lanes),
        segments(fold.segments),
        per_segment(leaves_per_segment(fold, spec.n)),
        rounds((per_segment + lanes - 1) / lanes) {}

  /// Leaves of one segment: fewer in the last ones, 0 when it is skipped.
  std::int64_t leaves_of(std::int64_t segment) const {
    return std::clamp<std::int64_t>(leaves - segment * per_segment, 0, per_segment);
  }
  std::int64_t last_element_of_leaf(std::int64_t q) const { return std::min(n, (q + 1) * leaf) - 1; }

  std::int64_t n, leaf, leaves, lanes, segments, per_segment, rounds;
};

std::string range(std::int64_t first, std::int64_t last) {
  return first == last ? fmt::format("{}", first) : fmt::format("{}..{}", first, last);
}

/// "16, 8, 4": from `first` halving down to `last`.
std::string halvings(std::int64_t first, std::int64_t last) {
  std::string text;
  for (std::int64_t distance = first; distance >= last; distance /= 2)
    text += (text.empty() ? "" : ", ") + std::to_string(distance);
  return text;
}

std::string levels_text(int first, int last) {
  return first == last ? fmt::format("level {}", first) : fmt::format("levels {} to {}", first, last);
}

int log2_of(std::int64_t power_of_two) { return std::countr_zero(static_cast<std::uint64_t>(power_of_two)); }

/// Where the levels of a fold run under one GPU schedule.
class GpuPlaces {
 public:
  explicit GpuPlaces(const Plan& plan) : schedule_(plan.gpu()), shape_(gpu_shape(plan)), passes_(passes(plan.spec()).size()) {}

  std::string leaf() const {
    return fmt::format("one thread, from {} of {}", schedule_.vector > 1 ? "loads" : "single loads",
                       counted(schedule_.vector, "element"));
  }
  std::string lane() const {
    const std::string lanes = shape_.lanes_per_thread == 1
                                  ? std::string("lane t")
                                  : fmt::format("lanes t, t + {}, ... ({} of them)",
                                                shape_.threads_per_segment, shape_.lanes_per_thread);
    return fmt::format("thread t of the {} that share a segment holds {}", shape_.threads_per_segment, lanes);
  }
  void lane_tree(std::int64_t lanes, std::vector<TreeStep>& steps) const {
    const std::int64_t threads = shape_.threads_per_segment;
    if (lanes > threads)
      steps.push_back(
          {"lane tree", "lane i with lane i + " + halvings(lanes / 2, threads), "registers of one thread"});
    if (threads > 1)
      steps.push_back({"lane tree", "lane i with lane i + " + halvings(std::min(lanes, threads) / 2, 1),
                       "shuffles between the threads of one warp"});
  }
  void segment_tree(std::vector<TreeStep>& steps) const {
    int level = 1;
    const auto add = [&](std::int64_t parts, const std::string& where) {
      const int count = log2_of(parts);
      if (count == 0) return;
      steps.push_back({"segment tree", levels_text(level, level + count - 1) + ": adjacent pairs", where});
      level += count;
    };
    add(shape_.segments_per_warp,
        fmt::format("inside the warp: warp w holds {}",
                    shape_.segments_per_warp == 1
                        ? std::string("segment w")
                        : fmt::format("segments {0}w .. {0}w + {1}", shape_.segments_per_warp,
                                      shape_.segments_per_warp - 1)));
    add(shape_.warps_per_row,
        fmt::format("the {} warps of a block, through shared memory", shape_.warps_per_row));
    add(schedule_.blocks_per_row,
        schedule_.split == Split::cluster
            ? fmt::format("the {} blocks of a cluster, through distributed shared memory",
                          schedule_.blocks_per_row)
            : fmt::format("the sums of {} blocks, from the workspace{}", schedule_.blocks_per_row, launches_that_add()));
  }
  std::string output() const {
    constexpr const char* staging[] = {"from registers", "from shared memory", "reading the row again"};
    return fmt::format("every thread for its own leaves, {}", staging[static_cast<int>(schedule_.staging)]);
  }
  std::string segment_owner(std::int64_t segment) const {
    const std::int64_t warp = segment / shape_.segments_per_warp;
    if (schedule_.blocks_per_row > 1)
      return fmt::format("block {} warp {}", warp / shape_.warps_per_row, warp % shape_.warps_per_row);
    return schedule_.threads_per_row < 32 ? counted(schedule_.threads_per_row, "thread")
                                          : fmt::format("warp {}", warp);
  }

 private:
  /// With a workspace each pass has a launch, and the next launch adds what its blocks stored.
  std::string launches_that_add() const {
    constexpr const char* ordinals[max_passes] = {"second", "third", "fourth", "fifth"};
    if (passes_ == 1) return " in the second launch";
    std::string text;
    for (std::size_t pass = 0; pass < passes_; ++pass)
      text += fmt::format("{} pass {} in the {} launch", pass == 0 ? ": of" : ", of", pass + 1, ordinals[pass]);
    return text;
  }

  GpuSchedule schedule_;
  GpuShape shape_;
  std::size_t passes_;
};

/// Null without a GPU plan.
std::unique_ptr<GpuPlaces> gpu_places(const std::optional<Plan>& plan) {
  return plan && plan->is_gpu() ? std::make_unique<GpuPlaces>(*plan) : nullptr;
}

void add_reduction(const Sizes& s, const std::optional<Plan>& plan, const std::string& result, std::vector<TreeStep>& steps) {
  const std::unique_ptr<GpuPlaces> gpu = gpu_places(plan);
  const std::string cpu = plan && !gpu ? fmt::format("vector registers of {} lanes", plan->cpu().width) : "";
  steps.push_back({"leaf",
                   fmt::format("{} in order, the first one first", counted(s.leaf, "consecutive element")),
                   gpu ? gpu->leaf() : cpu});
  steps.push_back({"lane",
                   fmt::format("leaf q of a segment goes to lane q mod {}; a lane's {} one chain", s.lanes,
                               s.rounds == 1 ? "only leaf is" : fmt::format("{} leaves are", s.rounds)),
                   gpu    ? gpu->lane()
                   : plan ? "one lane of a register"
                          : ""});
  if (s.lanes > 1) {
    if (gpu)
      gpu->lane_tree(s.lanes, steps);
    else
      steps.push_back({"lane tree", "lane i with lane i + " + halvings(s.lanes / 2, 1),
                       plan ? "registers, then lanes of one register" : ""});
  }
  if (s.segments > 1) {
    if (gpu)
      gpu->segment_tree(steps);
    else
      steps.push_back({"segment tree", levels_text(1, log2_of(s.segments)) + ": adjacent pairs",
                       plan ? "one thread of the host" : ""});
  }
  steps.push_back({"output", "the row's values and outputs from " + result,
                   gpu    ? gpu->output()
                   : plan ? "the same thread, row by row"
                          : ""});
}

/// Adds `lines`, or the first and last of them around a line that says how many are left out.
void add_folded(std::string& text, const std::vector<std::string>& lines, std::size_t most) {
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines.size() > most && i == most - 1) {
      text += fmt::format("  ⋮ {} more\n", lines.size() - most);
      i = lines.size() - 1;
    }
    text += "  " + lines[i] + "\n";
  }
}

std::string segment_line(const Sizes& s, std::int64_t segment, const GpuPlaces* gpu) {
  const std::int64_t count = s.leaves_of(segment);
  const std::string owner = gpu ? "  " + gpu->segment_owner(segment) : "";
  if (count == 0) return fmt::format("segment {:>4}   skipped: it has no element", segment);
  const std::int64_t first = segment * s.per_segment;
  return fmt::format("segment {:>4}   leaves {:>12}   elements {:>14}{}", segment,
                     range(first, first + count - 1),
                     range(first * s.leaf, s.last_element_of_leaf(first + count - 1)), owner);
}

std::string lane_line(const Sizes& s, std::int64_t lane) {
  if (lane >= s.leaves_of(0)) return fmt::format("lane {:>4}   skipped: it has no element", lane);
  std::string elements;
  std::int64_t shown = 0;
  for (std::int64_t q = lane; q < s.leaves_of(0); q += s.lanes, ++shown) {
    if (shown == 4) {
      elements += fmt::format(" → ... ({} leaves)", (s.leaves_of(0) - lane + s.lanes - 1) / s.lanes);
      break;
    }
    elements += fmt::format("{}leaf {} [{}]", q == lane ? "" : " → ", q,
                            range(q * s.leaf, s.last_element_of_leaf(q)));
  }
  return fmt::format("lane {:>4}   {}", lane, elements);
}

/// 0, 4, 2, 6, 1, 5, 3, 7: in this order halving joins neighbours.
std::vector<std::int64_t> bit_reversed(std::int64_t count) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < order.size(); ++i)
    for (std::int64_t bit = 1, mirrored = count / 2; mirrored >= 1; bit *= 2, mirrored /= 2)
      if (static_cast<std::int64_t>(i) & bit) order[i] |= mirrored;
  return order;
}

constexpr std::size_t widest = 10;  // lines of one list before it is folded

}  // namespace

std::vector<TreeStep> tree_steps(const Spec& spec, const Fold& fold, const std::optional<Plan>& plan) {
  std::vector<TreeStep> steps;
  if (!without_tree(spec).empty()) return steps;
  const std::string words = reduction_words(spec);
  add_reduction(Sizes(spec, fold), plan, words.find(',') == words.npos ? "the " + words : words, steps);
  return steps;
}

std::vector<std::string> sideways_tree(const std::vector<std::string>& labels, std::size_t most, const std::string& result) {
  const std::size_t count = labels.size();
  const int levels = log2_of(static_cast<std::int64_t>(count));
  std::size_t width = 0;
  for (const std::string& label : labels) width = std::max(width, columns_of(label));

  // Cell (row, level) of the lines: every subtree leaves at its last row and is met there by its partner.
  const auto cell = [&](std::size_t row, int level) -> const char* {
    const std::size_t half = std::size_t{1} << (level - 1);
    const std::size_t place = row % (2 * half);
    if (place == half - 1) return "─┐ ";
    if (place == 2 * half - 1) return "─┴─";
    return place >= half ? " │ " : "   ";
  };
  std::vector<std::string> lines;
  for (std::size_t row = 0; row < count; ++row) {
    if (count > most && row == most - 2) {
      std::string gap(width / 2, ' ');
      gap += "⋮";
      gap.append(width - width / 2, ' ');
      const std::size_t last = count - 2;
      for (int level = 1; level <= levels; ++level) {
        const std::size_t half = std::size_t{1} << (level - 1);
        const bool crossing = last % (2 * half) > half - 1 && last / (2 * half) == (count - 1) / (2 * half);
        gap += crossing && level > 1 ? " ⋮ " : "   ";
      }
      gap.erase(gap.find_last_not_of(' ') + 1);
      lines.push_back(gap);
      row = count - 2;
    }
    std::string line = labels[row] + std::string(width - columns_of(labels[row]) + 1, ' ');
    bool output = true;  // this row still carries the sum of its subtree to the right
    for (int level = 1; level <= levels; ++level) {
      const std::string part = cell(row, level);
      line += part;
      output = output && part == "─┴─";
    }
    if (output) line += "→ " + result;
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(line);
  }
  return lines;
}

std::string reduction_words(const Spec& spec) {
  std::string words;
  for (const int index : reductions(spec)) {
    const Op op = spec.nodes[static_cast<std::size_t>(index)].op;
    const std::string word = op == Op::sum ? "sum" : op == Op::reduce_max ? "maximum" : "minimum";
    if (words.find(word) == words.npos) words += (words.empty() ? "" : ", ") + word;
  }
  return words;
}

std::string without_tree(const Spec& spec) {
  if (reductions(spec).empty()) return fmt::format("{} reduces nothing along a row: there is no tree.", spec.op);
  if (spec.n == 0) return "Rows have no elements: there is no tree.";
  return {};
}

namespace {

/// Lane `first`, and every `step`-th after it, of segment 0.
Branch lanes_branch(const Sizes& s, std::int64_t first, std::int64_t step) {
  std::vector<std::int64_t> lanes, elements;
  for (std::int64_t lane = first; lane < s.lanes; lane += step)
    if (lane < s.leaves_of(0)) lanes.push_back(lane);
  if (lanes.empty())
    return {Branch::Kind::skipped, fmt::format("lane {}{}: no element", first, first + step < s.lanes ? ", ..." : "")};
  if (lanes.size() > 1)
    return {Branch::Kind::folded, fmt::format("lanes {} of segment 0: {} of them", listed(lanes), lanes.size())};
  std::int64_t count = 0;
  for (std::int64_t q = first; q < s.leaves_of(0); q += s.lanes) {
    const std::int64_t last = s.last_element_of_leaf(q);
    count += last - q * s.leaf + 1;
    if (elements.size() < 256)
      for (std::int64_t element = q * s.leaf; element <= last; ++element) elements.push_back(element);
  }
  return {count == 1 ? Branch::Kind::element : Branch::Kind::chain,
          fmt::format("lane {}: elements {}{}", first, listed(elements), count == 1 ? "" : fmt::format(": a chain of {}", count))};
}

Branch segments_branch(const Sizes& s, std::int64_t first, std::int64_t last, const GpuPlaces* gpu) {
  std::int64_t leaves = 0, filled = first;
  for (std::int64_t segment = first; segment <= last && s.leaves_of(segment) > 0; ++segment) {
    leaves += s.leaves_of(segment);
    filled = segment;
  }
  const std::string name = first == last ? fmt::format("segment {}", first) : fmt::format("segments {}", range(first, last));
  if (leaves == 0) return {Branch::Kind::skipped, name + ": no element"};
  const std::int64_t begin = first * s.per_segment;
  std::string owner;
  if (gpu) owner = gpu->segment_owner(first);
  if (gpu && gpu->segment_owner(filled) != owner) owner += " to " + gpu->segment_owner(filled);
  return {Branch::Kind::folded,
          fmt::format("{}: elements {}{}", name,
                      range(begin * s.leaf, s.last_element_of_leaf(begin + leaves - 1)), owner.empty() ? "" : " (" + owner + ")")};
}

}  // namespace

Branch fold_branch(const Spec& spec, const Fold& fold, const std::optional<Plan>& plan) {
  const Sizes s(spec, fold);
  const std::unique_ptr<GpuPlaces> gpu = gpu_places(plan);
  Branch branch = lanes_branch(s, 0, s.lanes);
  for (std::int64_t half = s.lanes / 2; half >= 1; half /= 2)
    branch = {Branch::Kind::joined, "", {std::move(branch), lanes_branch(s, half, 2 * half)}};
  for (std::int64_t step = 1; step < s.segments; step *= 2)
    branch = {Branch::Kind::joined, "", {std::move(branch), segments_branch(s, step, 2 * step - 1, gpu.get())}};
  return branch;
}

std::string fold_picture(const Spec& spec, const Fold& fold, const std::optional<Plan>& plan) {
  if (const std::string why = without_tree(spec); !why.empty()) return why + "\n";
  const Sizes s(spec, fold);
  const std::string result = reduction_words(spec);
  const std::unique_ptr<GpuPlaces> gpu = gpu_places(plan);
  std::string text = fmt::format("A row of {} is cut into {} of {}, and those into {} of {}.\n\n",
                                 counted(s.n, "element"), counted(s.leaves, "leaf"), s.leaf,
                                 counted(s.segments, "segment"), counted(s.per_segment, "leaf"));
  std::vector<std::string> lines;
  text += "The row\n";
  for (std::int64_t segment = 0; segment < s.segments; ++segment)
    lines.push_back(segment_line(s, segment, gpu.get()));
  add_folded(text, lines, widest);

  lines.clear();
  text += "\nInside segment 0: a lane is one chain\n";
  for (std::int64_t lane = 0; lane < s.lanes; ++lane) lines.push_back(lane_line(s, lane));
  add_folded(text, lines, widest);

  if (s.lanes > 1) {
    text += fmt::format("\nThe lane tree: lane i joins lane i + {}\n", halvings(s.lanes / 2, 1));
    lines.clear();
    for (const std::int64_t lane : bit_reversed(s.lanes))
      lines.push_back(fmt::format("lane {:>4}{}", lane, lane >= s.leaves_of(0) ? " (skipped)" : ""));
    for (const std::string& line : sideways_tree(lines, widest, s.segments > 1 ? "segment 0" : result)) text += "  " + line + "\n";
  }
  if (s.segments > 1) {
    text += "\nThe segment tree: adjacent pairs\n";
    lines.clear();
    for (std::int64_t segment = 0; segment < s.segments; ++segment)
      lines.push_back(fmt::format("segment {:>4}{}", segment, s.leaves_of(segment) == 0 ? " (skipped)" : ""));
    for (const std::string& line : sideways_tree(lines, widest, result)) text += "  " + line + "\n";
  }
  if (result.find("sum") == result.npos)
    text += fmt::format("\nA {} has the same bits in any order.\n", result);
  text += "\n";
  text += plan ? "Who does what\n" : "The levels\n";
  for (const TreeStep& step : tree_steps(spec, fold, plan)) {
    text += fmt::format("  {:<13} {}\n", step.name, step.what);
    if (!step.where.empty()) text += fmt::format("  {:<13}   {}\n", "", step.where);
  }
  return text;
}

}  // namespace isofold::tools
