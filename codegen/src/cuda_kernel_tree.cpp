#include <fmt/format.h>

#include <algorithm>

#include "cuda_kernel_writer.hpp"

namespace isofold {

void CudaKernelWriter::write_lane_sums() {
  if (chains_ == 1) {
    code_.line("float {} = -0.0f;", of_pass("lane_sum"));
    return;
  }
  const std::string count = shape_.lanes_per_thread == 1    ? "SEGMENTS_PER_WARP"
                            : shape_.segments_per_warp == 1 ? "LANES_PER_THREAD"
                                                            : "SEGMENTS_PER_WARP * LANES_PER_THREAD";
  code_.line("float {}[{}];", of_pass("lane_sums"), count);
  code_.unrolled("s", count);
  code_.line("{}[s] = -0.0f;", of_pass("lane_sums"));
  code_.close();
}

void CudaKernelWriter::write_lane_tree() {
  const int segments = shape_.segments_per_warp;
  const int lanes = shape_.lanes_per_thread;
  const int threads = shape_.threads_per_segment;
  const std::string sums = of_pass("lane_sums");
  const std::string sum = chains_ == 1 ? of_pass("lane_sum") : sums + "[0]";
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
    code_.line("{1}[{0}] = __fadd_rn({1}[{0}], {1}[{0} + distance]);", base, sums);
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
      code_.line("{0} = {1}({0}, {2});", sum, helpers_.use("halve"), distance);
      continue;
    }
    held /= 2;
    if (held > 1) code_.unrolled("s", fmt::format("{}", held));
    const std::string s = held > 1 ? "s" : "0";
    const std::string even = held > 1 ? "2 * s" : "0";
    const std::string odd = held > 1 ? "2 * s + 1" : "1";
    code_.line("{} = {}({}, {}, lane, {});", at(s), helpers_.use("halve_two"), at(even), at(odd), distance);
    if (held > 1) code_.close();
  }
  if (segments == 1) return;
  code_.comment("Segment tree inside the warp: segments (0, 1), (2, 3), ... are now held by neighbouring groups of lanes.");
  int joined = 1;
  for (int distance = threads / 2; distance >= 1 && joined < segments; distance /= 2, joined *= 2) {
    if (held > 1) code_.unrolled("s", fmt::format("{}", held));
    code_.line("{0} = {1}({0}, {2});", at(held > 1 ? "s" : "0"), helpers_.use("halve"), distance);
    if (held > 1) code_.close();
  }
  if (held > 1) {
    code_.line("#pragma unroll");
    code_.open("for (int distance = 1; distance < {}; distance *= 2) {{", held);
    code_.unrolled("s", fmt::format("{}", held), "2 * distance");
    code_.line("{0} = __fadd_rn({0}, {1});", at("s"), at("s + distance"));
    code_.close();
    code_.close();
  }
}

void CudaKernelWriter::write_segment_tree(const std::string& sums, const std::string& count, int number) {
  const std::string total = name_of_node(sum_);
  const int each = std::max(1, number / 32);
  const std::string tree = helpers_.use("adjacent_pairs");
  const std::string pairs = of_pass("pairs");
  code_.line("float {}[{}];", pairs, number <= 16 ? count : fmt::format("{}", each));
  code_.unrolled("s", number <= 16 ? count : fmt::format("{}", each));
  if (number <= 16) code_.line("{}[s] = {}[s];", pairs, sums);
  else code_.line("{}[s] = {}[lane{} + s];", pairs, sums, each > 1 ? fmt::format(" * {}", each) : "");
  code_.close();
  if (number <= 16) {
    code_.line("const float {} = {}({});", total, tree, pairs);
  } else {
    code_.line("float {} = {}({});", total, tree, pairs);
    for (int distance = 1; distance <= 16; distance *= 2)
      code_.line("{0} = {1}({0}, {2});", total, helpers_.use("halve"), distance);
  }
  expression_.bind(sum_, total);
}

void CudaKernelWriter::write_block_exchange(KernelPart part) {
  const std::string sum = chains_ == 1 ? of_pass("lane_sum") : of_pass("lane_sums") + "[0]";
  const std::string total = name_of_node(sum_);
  if (exchanged_ == 1) {
    if (part == KernelPart::partial_sums) {
      code_.blank();
      code_.comment("The block's part of the row goes to the workspace.");
      code_.line("if (threadIdx.x == 0) workspace[row * BLOCKS_PER_ROW + block] = {};", sum);
    } else {
      code_.line("const float {} = {};", total, sum);
      expression_.bind(sum_, total);
    }
    return;
  }
  code_.blank();
  const std::string buffer = of_pass("warp_sums") + (schedule_.rows_per_block > 1 ? "[row_in_block]" : "");
  if (schedule_.split == Split::cluster) {
    code_.comment("Segment tree across the warps of the cluster: lane b of a warp gives the warp's sum to block b.");
    if (pass_ == 0) code_.line("{}();", helpers_.use("cluster_wait"));
    code_.line("if (lane < BLOCKS_PER_ROW) {}(&{}[row_warp], lane, {});", helpers_.use("store_in_block"), buffer, sum);
    code_.line("{}();", helpers_.use("cluster_sync"));
    write_segment_tree(buffer, fmt::format("{}", exchanged_), exchanged_);
    return;
  }
  code_.comment("Segment tree across the warps of the row.");
  code_.line("if (lane == 0) {}[warp] = {};", buffer, sum);
  code_.line("__syncthreads();");
  write_segment_tree(buffer, "WARPS_PER_ROW", exchanged_);
  if (part == KernelPart::partial_sums)
    code_.line("if (threadIdx.x == 0) workspace[row * BLOCKS_PER_ROW + block] = {};", total);
}

void CudaKernelWriter::write_workspace_sum() {
  code_.blank();
  code_.comment("Segment tree across the blocks of the row.");
  code_.line("const float* const block_sums = workspace + row * BLOCKS_PER_ROW;");
  write_segment_tree("block_sums", "BLOCKS_PER_ROW", schedule_.blocks_per_row);
}

}  // namespace isofold
