#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "cuda_kernel_writer.hpp"

namespace isofold {

std::string CudaKernelWriter::combined(int reduction, const std::string& a, const std::string& b) const {
  return fmt::format("{}({}, {})", helpers_.combine(reduction_op(reduction)), a, b);
}

/// What changes nothing when it is combined with any value.
std::string CudaKernelWriter::identity(int reduction) const {
  if (reduction_op(reduction) == Op::sum) return helpers_.is_wide() ? "-0.0" : "-0.0f";
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return CudaExpression::literal(reduction_op(reduction) == Op::reduce_max ? -infinity : infinity, helpers_.is_wide());
}

/// A maximum of a 16-bit row as it was stored: two elements at once, and none is widened.
bool CudaKernelWriter::takes_pairs(int reduction) const {
  if (has_order(reduction) || tail_mask_ || fold_.leaf % 2 != 0) return false;
  const Node& value = operand_of(reduction);
  if (value.op != Op::input) return false;
  const Tensor& tensor = spec_.inputs[static_cast<std::size_t>(value.tensor)];
  return tensor.extent == Extent::row && (tensor.dtype == DType::bf16 || tensor.dtype == DType::f16);
}

const Node& CudaKernelWriter::operand_of(int reduction) const {
  return spec_.nodes[static_cast<std::size_t>(spec_.nodes[static_cast<std::size_t>(reduction)].a)];
}

/// Of a reduction over a row input itself.
DType CudaKernelWriter::dtype_of_operand(int reduction) const {
  return spec_.inputs[static_cast<std::size_t>(operand_of(reduction).tensor)].dtype;
}

void CudaKernelWriter::write_lane_sums() {
  const std::string count = shape_.lanes_per_thread == 1    ? "SEGMENTS_PER_WARP"
                            : shape_.segments_per_warp == 1 ? "LANES_PER_THREAD"
                                                            : "SEGMENTS_PER_WARP * LANES_PER_THREAD";
  for (const int reduction : pass_reductions()) {
    if (takes_pairs(reduction)) {
      const bool is_bf16 = dtype_of_operand(reduction) == DType::bf16;
      const bool largest = reduction_op(reduction) == Op::reduce_max;
      code_.line("unsigned {}[1] = {{{}}};", own("lane_words", reduction),
                 is_bf16 ? (largest ? "0xff80ff80u" : "0x7f807f80u") : (largest ? "0xfc00fc00u" : "0x7c007c00u"));
      continue;
    }
    if (chains_ == 1 || !has_order(reduction)) {
      code_.line("{} {} = {};", helpers_.real(), own("lane_sum", reduction), identity(reduction));
      continue;
    }
    code_.line("{} {}[{}];", helpers_.real(), own("lane_sums", reduction), count);
    code_.unrolled("s", count);
    code_.line("{}[s] = {};", own("lane_sums", reduction), identity(reduction));
    code_.close();
  }
}

void CudaKernelWriter::write_lane_trees() {
  for (const int reduction : pass_reductions())
    if (has_order(reduction)) write_lane_tree(reduction);
    else write_lane_extreme(reduction);
}

/// The function that gives all lanes of a warp their maximum or minimum.
std::string CudaKernelWriter::warp_extreme(int reduction) {
  helpers_.use("warp_max");
  return helpers_.use(reduction_op(reduction) == Op::reduce_max ? "warp_max" : "warp_min");
}

/// A maximum is the same in any order: a lane has one of all its segments, and the warp's lanes combine at once.
void CudaKernelWriter::write_lane_extreme(int reduction) {
  const std::string extreme = lane_result(reduction);
  code_.blank();
  code_.comment("A maximum or minimum is the same in any order.");
  if (takes_pairs(reduction)) {
    const std::string widen = helpers_.widen(dtype_of_operand(reduction)), words = own("lane_words", reduction);
    code_.line("float {} = {};", extreme,
               combined(reduction, fmt::format("{}({}, 0)", widen, words), fmt::format("{}({}, 1)", widen, words)));
  }
  if (shape_.threads_per_segment == 32 && !helpers_.is_wide()) {
    code_.line("{0} = {1}({0});", extreme, warp_extreme(reduction));
    return;
  }
  for (int distance = shape_.threads_per_segment / 2; distance >= 1; distance /= 2)
    code_.line("{0} = {1}({0}, {2});", extreme, helpers_.tree("halve", reduction_op(reduction)), distance);
}

/// The thread's variable that has the result of its warp's lane trees.
std::string CudaKernelWriter::lane_result(int reduction) const {
  return chains_ == 1 || !has_order(reduction) ? own("lane_sum", reduction) : own("lane_sums", reduction) + "[0]";
}

void CudaKernelWriter::write_lane_tree(int reduction) {
  const int segments = shape_.segments_per_warp;
  const int lanes = shape_.lanes_per_thread;
  const int threads = shape_.threads_per_segment;
  const std::string sums = own("lane_sums", reduction);
  const std::string sum = lane_result(reduction);
  const Op op = reduction_op(reduction);
  const auto at = [&](const std::string& index) {
    return lanes == 1 ? fmt::format("{}[{}]", sums, index) : fmt::format("{}[({}) * {}]", sums, index, lanes);
  };
  code_.blank();
  if (lanes > 1) {
    code_.comment("Lane tree, register levels: lanes of one thread, half the lanes apart.");
    code_.line("#pragma unroll");
    code_.open("for (int distance = LANES_PER_THREAD / 2; distance >= 1; distance /= 2) {{");
    if (segments > 1) code_.unrolled("s", "SEGMENTS_PER_WARP");
    code_.unrolled("k", "distance");
    const std::string base = segments > 1 ? "s * LANES_PER_THREAD + k" : "k";
    code_.line("{}[{}] = {};", sums, base,
               combined(reduction, fmt::format("{}[{}]", sums, base), fmt::format("{}[{} + distance]", sums, base)));
    code_.close();
    if (segments > 1) code_.close();
    code_.close();
  }
  int held = segments;
  for (int distance = threads / 2; distance >= 1; distance /= 2) {
    if (distance == threads / 2)
      code_.comment(segments > 1 ? "Lane trees of this warp's segments together: at each level a lane hands over half of them."
                                 : "Lane tree: lane i with lane i + half, then a quarter, ... 1.");
    if (held == 1) {
      code_.line("{0} = {1}({0}, {2});", sum, helpers_.tree("halve", op), distance);
      continue;
    }
    held /= 2;
    if (held > 1) code_.unrolled("s", fmt::format("{}", held));
    const std::string s = held > 1 ? "s" : "0";
    const std::string even = held > 1 ? "2 * s" : "0";
    const std::string odd = held > 1 ? "2 * s + 1" : "1";
    code_.line("{} = {}({}, {}, lane, {});", at(s), helpers_.tree("halve_two", op), at(even), at(odd), distance);
    if (held > 1) code_.close();
  }
  if (segments == 1) return;
  code_.comment("Segment tree inside the warp: segments (0, 1), (2, 3), ... are now held by neighbouring groups of lanes.");
  int joined = 1;
  for (int distance = threads / 2; distance >= 1 && joined < segments; distance /= 2, joined *= 2) {
    if (held > 1) code_.unrolled("s", fmt::format("{}", held));
    code_.line("{0} = {1}({0}, {2});", at(held > 1 ? "s" : "0"), helpers_.tree("halve", op), distance);
    if (held > 1) code_.close();
  }
  if (held > 1) {
    code_.line("#pragma unroll");
    code_.open("for (int distance = 1; distance < {}; distance *= 2) {{", held);
    code_.unrolled("s", fmt::format("{}", held), "2 * distance");
    code_.line("{} = {};", at("s"), combined(reduction, at("s"), at("s + distance")));
    code_.close();
    code_.close();
  }
}

void CudaKernelWriter::write_segment_tree(int reduction, const std::string& sums, const std::string& count, int number) {
  const Op op = reduction_op(reduction);
  const std::string total = name_of_node(reduction);
  const int each = std::max(1, number / 32);
  const std::string tree = helpers_.tree("adjacent_pairs", op);
  const std::string pairs = own("pairs", reduction);
  code_.line("{} {}[{}];", helpers_.real(), pairs, number <= most_sums_of_a_thread ? count : fmt::format("{}", each));
  code_.unrolled("s", number <= most_sums_of_a_thread ? count : fmt::format("{}", each));
  if (number <= most_sums_of_a_thread) code_.line("{}[s] = {}[s];", pairs, sums);
  else code_.line("{}[s] = {}[lane{} + s];", pairs, sums, each > 1 ? fmt::format(" * {}", each) : "");
  code_.close();
  if (number <= most_sums_of_a_thread) {
    code_.line("const {} {} = {}({});", helpers_.real(), total, tree, pairs);
  } else {
    code_.line("{} {} = {}({});", helpers_.real(), total, tree, pairs);
    if (!has_order(reduction) && !helpers_.is_wide()) code_.line("{0} = {1}({0});", total, warp_extreme(reduction));
    else for (int distance = 1; distance <= 16; distance *= 2)
      code_.line("{0} = {1}({0}, {2});", total, helpers_.tree("halve", op), distance);
  }
  expression_.bind(reduction, total);
}

void CudaKernelWriter::write_block_exchange(KernelPart part) {
  if (exchanged_ == 1) {
    if (part == KernelPart::partial_sums) {
      code_.blank();
      code_.comment("The block's part of the row goes to the workspace.");
      for (const int reduction : pass_reductions())
        code_.line("if (threadIdx.x == 0) workspace[{} + block] = {};", in_workspace(reduction), lane_result(reduction));
      return;
    }
    for (const int reduction : pass_reductions()) {
      const std::string total = name_of_node(reduction);
      code_.line("const {} {} = {};", helpers_.real(), total, lane_result(reduction));
      expression_.bind(reduction, total);
    }
    return;
  }
  code_.blank();
  const auto buffer = [&](int reduction) {
    return own("warp_sums", reduction) + (schedule_.rows_per_block > 1 ? "[row_in_block]" : "");
  };
  if (schedule_.split == Split::cluster) {
    code_.comment("Segment tree across the warps of the cluster: lane b of a warp gives the warp's result to block b.");
    if (pass_ == 0) code_.line("{}();", helpers_.use("cluster_wait"));
    for (const int reduction : pass_reductions())
      code_.line("if (lane < BLOCKS_PER_ROW) {}(&{}[row_warp], lane, {});", helpers_.store_in_block(), buffer(reduction),
                 lane_result(reduction));
    code_.line("{}();", helpers_.use("cluster_sync"));
    for (const int reduction : pass_reductions())
      write_segment_tree(reduction, buffer(reduction), fmt::format("{}", exchanged_), exchanged_);
    return;
  }
  code_.comment("Segment tree across the warps of the row.");
  for (const int reduction : pass_reductions()) code_.line("if (lane == 0) {}[warp] = {};", buffer(reduction), lane_result(reduction));
  code_.line("__syncthreads();");
  for (const int reduction : pass_reductions()) write_segment_tree(reduction, buffer(reduction), "WARPS_PER_ROW", exchanged_);
  if (part == KernelPart::partial_sums)
    for (const int reduction : pass_reductions())
      code_.line("if (threadIdx.x == 0) workspace[{} + block] = {};", in_workspace(reduction), name_of_node(reduction));
}

/// Where in the workspace a row's partial sums of one reduction begin, one for each of its blocks.
std::string CudaKernelWriter::in_workspace(int reduction) const {
  if (reductions_.size() == 1) return "row * BLOCKS_PER_ROW";
  return fmt::format("(row * {} + {}) * BLOCKS_PER_ROW", reductions_.size(), place_of(reduction));
}

/// The sums of a pass that another kernel has made: those that this one uses.
void CudaKernelWriter::write_workspace_sums() {
  const std::vector<bool> needed = needed_in(part_);
  std::vector<int> used = pass_reductions();
  std::erase_if(used, [&](int reduction) { return !needed[static_cast<std::size_t>(reduction)]; });
  if (used.empty()) return;
  code_.blank();
  code_.comment("Segment tree across the blocks of the row.");
  for (const int reduction : used) {
    const std::string sums = own("block_sums", reduction);
    code_.line("const {}* const {} = workspace + {};", helpers_.real(), sums, in_workspace(reduction));
    write_segment_tree(reduction, sums, "BLOCKS_PER_ROW", schedule_.blocks_per_row);
  }
}

}  // namespace isofold
