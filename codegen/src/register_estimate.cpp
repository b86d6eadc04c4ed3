#include "register_estimate.hpp"

#include <algorithm>

#include "carry.hpp"
#include "masked_input.hpp"

namespace isofold {
namespace {

/// Does computing a value of the Spec take the one number of this tensor? The limit of a masked input takes no register of its own.
bool is_used_by_values(const Spec& spec, int tensor) {
  const Spec masked = with_masked_inputs(spec);
  std::vector<bool> needed(masked.nodes.size(), false);
  for (const Output& output : masked.outputs) {
    const auto more = needed_by(masked, output.value);
    for (std::size_t i = 0; i < needed.size(); ++i) needed[i] = needed[i] || more[i];
  }
  const auto is_it = [&](int node) {
    const Node& value = masked.nodes[static_cast<std::size_t>(node)];
    return value.op == Op::input && value.tensor == tensor;
  };
  for (std::size_t i = 0; i < needed.size(); ++i)
    if (const Node& node = masked.nodes[i]; needed[i] && node.op != Op::input)
      for (int operand : {node.a, node.b, node.c})
        if (operand >= 0 && is_it(operand)) return true;
  return std::any_of(masked.outputs.begin(), masked.outputs.end(), [&](const Output& output) { return is_it(output.value); });
}

/// 32-bit words that a leaf of each kind of value takes.
struct WordsPerLeaf {
  int rows = 0, columns = 0, widest_column = 0;
  int rows_of_8_bits = 0, columns_of_8_bits = 0;  // tensors
  int carried = 0, kept = 0;
  bool carries_calls = false, uses_numbers = false;
};

WordsPerLeaf words_of(const Spec& spec, const Fold& fold) {
  WordsPerLeaf out;
  const std::vector<Carried> carried = carried_values(spec);
  out.carries_calls = std::any_of(carried.begin(), carried.end(), [&](const Carried& value) {
    return spec.nodes[static_cast<std::size_t>(value.node)].op == Op::call;
  });
  // Beside the results of functions the others are widened early.
  for (const Carried& value : carried) out.carried += out.carries_calls ? fold.leaf : words_per_leaf(value.dtype, fold);
  for (const Carried& value : kept_calls(spec)) out.kept += words_per_leaf(value.dtype, fold);
  for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
    const Tensor& tensor = spec.inputs[i];
    const int words = words_per_leaf(tensor.dtype, fold);
    if (tensor.extent == Extent::token || tensor.extent == Extent::scalar) {
      out.uses_numbers = out.uses_numbers || is_used_by_values(spec, static_cast<int>(i));
    } else if (tensor.extent == Extent::column) {
      out.columns += words;
      out.widest_column = std::max(out.widest_column, words);
      out.columns_of_8_bits += size_of(tensor.dtype) == 1;
    } else {
      out.rows += words;
      out.rows_of_8_bits += size_of(tensor.dtype) == 1;
    }
  }
  return out;
}

bool reads_column_before_sum(const Spec& spec) {
  const std::vector<bool> read = read_by_first_pass(spec);
  for (std::size_t i = 0; i < read.size(); ++i)
    if (spec.inputs[i].extent == Extent::column && read[i]) return true;
  return false;
}

}  // namespace

int estimated_registers(const Plan& plan) {
  const GpuShape shape = gpu_shape(plan);
  const GpuSchedule& s = plan.gpu();
  const Fold& fold = plan.fold();
  const WordsPerLeaf words = words_of(plan.spec(), fold);
  // Fused add of 8192 bf16 on sm_90 without a bound, 8 to 64 elements per thread: 26, 40, 64 and 94 registers with late
  // weights, 30, 56, 68 and 126 with early ones.
  // Packed values count as the binary32 values that they widen to: the compiler keeps those.
  // Rows that stay in registers have few leaves.
  const auto leaves = static_cast<int>(std::min<std::int64_t>(shape.leaves_per_thread, 1024));
  const bool in_registers = s.staging == Staging::registers;
  const int held = !in_registers ? 112
                   : s.shared_calls > 0 ? std::max(words.rows, words.carried) * s.shared_calls + words.kept * (leaves - s.shared_calls)
                                    : std::max({words.rows, words.carried, words.kept, fold.leaf}) * leaves;
  // Columns that wait for the outputs are loaded for all leaves at once: one finds room in what the sum has left free.
  // That of f32 beside rows that are masked does not: it is there for all leaves before the first is used.
  const bool fills_its_room = s.rows_per_block > 1 && words.widest_column >= fold.leaf;
  const int loaded = s.early_weights || fills_its_room || reads_column_before_sum(plan.spec()) ? words.columns
                                                                                              : words.columns - words.widest_column;
  const int early = in_registers ? loaded * leaves : 0;
  const std::int64_t slots = leaves_per_segment(fold, plan.spec().n) * fold.segments * fold.leaf;
  const bool masked = slots != plan.spec().n || leaves_per_segment(fold, plan.spec().n) % fold.lanes != 0;
  const int masks = masked || s.vector < fold.leaf || s.rows_per_block > 1 ? 16 : 0;
  const int chains = shape.segments_per_warp * shape.lanes_per_thread / 2;
  // With calls in shared memory the compiler makes do with less: softmax of 151936 bf16 on sm_90, 40 elements per thread, fits 48.
  const int others = words.columns > 0 || words.uses_numbers ? 12 : 0;
  // Inputs of 8 bits are widened in pairs, by way of f16, long before they are used.
  const int widened_columns = in_registers && loaded > 0 ? words.columns_of_8_bits : 0;
  const int at_once = shape.looped ? 1 : in_registers ? leaves : std::min(leaves, 4);
  const int widened = fold.leaf * at_once * (words.rows_of_8_bits + widened_columns);
  // Measured with NVRTC 13.0 where kernels of 4096 to 20480 elements spilled.
  const int more = widened + (words.carries_calls ? 12 : 0) + (groups(plan.spec()) > 1 && held >= 32 ? 12 : 0) +
                   (plan.device().arch < 100 ? 0 : in_registers && words.kept > 0 && s.shared_calls == 0 ? 4 + held / 2 : 4);
  return more + (s.shared_calls > 0 ? 28 + held + early + others + chains : 26 + held + early + masks + chains);
}

int chain_registers(const Plan& plan) {
  std::ptrdiff_t sums = 0;
  for (const std::vector<int>& pass : passes(plan.spec()))
    sums = std::max(sums, std::count_if(pass.begin(), pass.end(), [&](int node) {
                      return plan.spec().nodes[static_cast<std::size_t>(node)].op == Op::sum;
                    }));
  const GpuShape shape = gpu_shape(plan);
  return shape.segments_per_warp * shape.lanes_per_thread * static_cast<int>(sums) * (is_wide(plan.spec()) ? 2 : 1);
}

}  // namespace isofold
