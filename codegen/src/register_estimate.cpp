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

}  // namespace

int estimated_registers(const Plan& plan) {
  const GpuShape shape = gpu_shape(plan);
  const GpuSchedule& s = plan.gpu();
  const Fold& fold = plan.fold();
  bool more_inputs = false;
  int carried = 0, columns = 0, widest_column = 0, rows = 0, rows_of_8_bits = 0, columns_of_8_bits = 0;
  const std::vector<Carried> carried_by_all = carried_values(plan.spec());
  const bool carries_calls = std::any_of(carried_by_all.begin(), carried_by_all.end(), [&](const Carried& value) {
    return plan.spec().nodes[static_cast<std::size_t>(value.node)].op == Op::call;
  });
  // Beside the results of functions the others are widened early.
  for (const Carried& value : carried_by_all)
    carried += carries_calls ? plan.fold().leaf : words_per_leaf(value.dtype, plan.fold());
  int kept = 0;
  for (const Carried& value : kept_calls(plan.spec())) kept += words_per_leaf(value.dtype, plan.fold());
  for (std::size_t i = 0; i < plan.spec().inputs.size(); ++i) {
    const Tensor& tensor = plan.spec().inputs[i];
    const int words = words_per_leaf(tensor.dtype, plan.fold());
    if (tensor.extent == Extent::token || tensor.extent == Extent::scalar) {
      more_inputs = more_inputs || is_used_by_values(plan.spec(), static_cast<int>(i));
    } else if (tensor.extent == Extent::column) {
      columns += words;
      widest_column = std::max(widest_column, words);
      columns_of_8_bits += size_of(tensor.dtype) == 1;
    } else {
      rows += words;
      rows_of_8_bits += size_of(tensor.dtype) == 1;
    }
  }
  // Fused add of 8192 bf16 on sm_90 without a bound, 8 to 64 elements per thread: 26, 40, 64 and 94 registers with late
  // weights, 30, 56, 68 and 126 with early ones.
  // Packed values count as the binary32 values that they widen to: the compiler keeps those.
  // Rows that stay in registers have few leaves.
  const auto leaves = static_cast<int>(std::min<std::int64_t>(shape.leaves_per_thread, 1024));
  const int held = s.staging != Staging::registers ? 112
                   : s.shared_calls > 0 ? std::max(rows, carried) * s.shared_calls + kept * (leaves - s.shared_calls)
                                    : std::max({rows, carried, kept, fold.leaf}) * leaves;
  bool column_before_sum = false;
  if (const auto by_pass = passes(plan.spec()); !by_pass.empty())
    for (const int reduction : by_pass.front()) {
      const auto before = needed_by(plan.spec(), reduction);
      for (std::size_t i = 0; i < before.size(); ++i)
        if (const Node& node = plan.spec().nodes[i]; before[i] && node.op == Op::input)
          column_before_sum |= plan.spec().inputs[static_cast<std::size_t>(node.tensor)].extent == Extent::column;
    }
  // Columns that wait for the outputs are loaded for all leaves at once: one finds room in what the sum has left free.
  // That of f32 beside rows that are masked does not: it is there for all leaves before the first is used.
  const bool fills_its_room = s.rows_per_block > 1 && widest_column >= fold.leaf;
  const int loaded = s.early_weights || column_before_sum || fills_its_room ? columns : columns - widest_column;
  const int early = s.staging == Staging::registers ? loaded * leaves : 0;
  const std::int64_t slots = leaves_per_segment(fold, plan.spec().n) * fold.segments * fold.leaf;
  const bool masked = slots != plan.spec().n || leaves_per_segment(fold, plan.spec().n) % fold.lanes != 0;
  const int masks = masked || s.vector < fold.leaf || s.rows_per_block > 1 ? 16 : 0;
  const int chains = shape.segments_per_warp * shape.lanes_per_thread / 2;
  // With calls in shared memory the compiler makes do with less: softmax of 151936 bf16 on sm_90, 40 elements per thread, fits 48.
  const int others = columns > 0 || more_inputs ? 12 : 0;
  // Inputs of 8 bits are widened in pairs, by way of f16, long before they are used.
  const int at_once = shape.looped ? 1 : leaves;
  const int widened = fold.leaf * at_once * (rows_of_8_bits + (loaded > 0 && s.staging == Staging::registers ? columns_of_8_bits : 0));
  // Measured with NVRTC 13.0 where kernels of 4096 to 20480 elements spilled.
  const int more = widened + (carries_calls ? 12 : 0) + (groups(plan.spec()) > 1 && held >= 32 ? 12 : 0) +
                   (plan.device().arch < 100 ? 0 : kept == 0 || s.shared_calls > 0 ? 4 : 4 + held / 2);
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
