#include <fmt/format.h>

#include <algorithm>

#include "cuda_kernel_writer.hpp"

namespace isofold {

std::string CudaKernelWriter::body(KernelPart part) {
  code_ = CodeWriter();
  pass_ = 0;
  sum_ = sums_.front();
  declared_rows_.clear();
  loaded_columns_.clear();
  taken_.assign(carried_.size(), true);
  write_position(part);
  std::string row = schedule_.blocks_per_row > 1 ? "blockIdx.x / BLOCKS_PER_ROW" : "blockIdx.x";
  if (schedule_.rows_per_block > 1) row = "(long long)blockIdx.x * ROWS_PER_BLOCK + threadIdx.x / THREADS_PER_ROW";
  code_.line("const long long row = {};", row);
  write_constants(part);
  if (part != KernelPart::outputs) {
    write_reduction_pass();
    write_lane_tree();
    write_block_exchange(part);
    while (pass_ + 1 < sums_.size()) {
      write_row_values();
      sum_ = sums_[++pass_];
      write_later_pass();
      write_lane_tree();
      write_block_exchange(part);
    }
  }
  if (part == KernelPart::outputs) write_workspace_sum();
  if (part != KernelPart::partial_sums) {
    write_row_values();
    write_output_pass();
  }
  return code_.text();
}

void CudaKernelWriter::write_position(KernelPart part) {
  const bool several_blocks = schedule_.blocks_per_row > 1;
  if (exchanged_ > 1 && part != KernelPart::outputs) {
    for (; pass_ < sums_.size(); ++pass_)  // of their own: nobody has to wait until all have read those of the pass before
      code_.line("__shared__ __align__(16) float {}{}[{}];", of_pass("warp_sums"),
                 schedule_.rows_per_block > 1 ? "[ROWS_PER_BLOCK]" : "",
                 schedule_.split == Split::cluster
                     ? (shape_.warps_per_row > 1 ? "BLOCKS_PER_ROW * WARPS_PER_ROW" : "BLOCKS_PER_ROW")
                     : "WARPS_PER_ROW");
    pass_ = 0;
  }
  if (schedule_.staging == Staging::shared) {
    code_.comment("Word w of this thread's leaf i waits at staged[(i * STAGED_WORDS + w) * BLOCK_THREADS].");
    code_.line("extern __shared__ unsigned staged_rows[];");
    code_.line("unsigned* const staged = staged_rows + threadIdx.x;");
  }
  code_.line("const int lane = threadIdx.x % THREADS_PER_SEGMENT;");
  if (shape_.warps_per_row > 1)
    code_.line("const int warp = threadIdx.x / 32{};", schedule_.rows_per_block > 1 ? " % WARPS_PER_ROW" : "");
  if (several_blocks) {
    code_.line("const int block = blockIdx.x % BLOCKS_PER_ROW;");
    code_.line("const int row_warp = block{};", shape_.warps_per_row > 1 ? " * WARPS_PER_ROW + warp" : "");
  }
  if (schedule_.rows_per_block > 1 && exchanged_ > 1)
    code_.line("const int row_in_block = threadIdx.x / THREADS_PER_ROW;");
  if (schedule_.split == Split::cluster) code_.line("{}();", helpers_.use("cluster_arrive"));
  if (schedule_.dependent_launch) {
    // The earlier the next kernel is let in, the more of its start is hidden; before the wait it would be too early:
    // kernels after it may count on everything before this one being done. Measured: docs/benchmarks.md.
    code_.line("{}();", helpers_.use("wait_for_previous_kernel"));
    code_.line("{}();", helpers_.use("let_next_kernel_start"));
  }
}

/// Named values that depend on nothing, once: printed where they are used, each would be printed again in every other.
void CudaKernelWriter::write_constants(KernelPart part) {
  std::vector<bool> wanted = needed_by_passes(0);
  if (part != KernelPart::partial_sums) {
    for (const auto& more : {needed_by_outputs(false), needed_by_outputs(true)})
      for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] = more[i] || (wanted[i] && part == KernelPart::whole);
  }
  for (std::size_t i = 0; i < spec_.nodes.size(); ++i) {
    const Node& node = spec_.nodes[i];
    const int index = static_cast<int>(i);
    if (!wanted[i] || level_[i] != Level::constant || node.name.empty()) continue;
    expression_.unbind(index);
    code_.line("const float {} = {};", node.name, expression_.print(index));
    expression_.bind(index, node.name);
  }
}

void CudaKernelWriter::write_row_pointers(const std::vector<int>& tensors) {
  for (int tensor : tensors) {
    const Tensor& t = spec_.inputs[static_cast<std::size_t>(tensor)];
    if (std::find(declared_rows_.begin(), declared_rows_.end(), tensor) != declared_rows_.end()) continue;
    declared_rows_.push_back(tensor);
    if (t.extent == Extent::row)
      code_.line("const {0}* const {1}_row = {1} + row * {1}_stride;", pointer_type(t.dtype), t.name);
  }
}

void CudaKernelWriter::write_output_pointers(bool late) {
  for (const Output& o : spec_.outputs)
    if (before_[static_cast<std::size_t>(o.value)] != late)
      code_.line("{0}* const {1}_row = {1} + row * {1}_stride;", pointer_type(o.dtype), o.name);
}

void CudaKernelWriter::write_early_weights() {
  const auto columns = late_columns();
  if (columns.empty()) return;
  declare_words(columns);
  open_leaves();
  write_load(columns);
  code_.close();
  loaded_columns_.insert(loaded_columns_.end(), columns.begin(), columns.end());
}

/// What the first sum, early outputs and carried values need.
std::vector<int> CudaKernelWriter::columns_of_first_pass() const {
  std::vector<bool> needed = needed_by(spec_, sums_.front());
  const auto also = [&](const std::vector<bool>& more) {
    for (std::size_t i = 0; i < needed.size(); ++i) needed[i] = needed[i] || more[i];
  };
  if (schedule_.staging != Staging::reread) {
    also(needed_by_outputs(false));
    for (const Carried& carried : carried_) also(needed_by(spec_, carried.node));
  }
  return inputs_of(needed, Extent::column);
}

/// What these values use in a later pass: carried values are there, what they were made from is not.
std::vector<bool> CudaKernelWriter::used_after_carrying(const std::vector<int>& roots) const {
  std::vector<bool> used(spec_.nodes.size(), false);
  for (int root : roots) used[static_cast<std::size_t>(root)] = true;
  for (int i = static_cast<int>(spec_.nodes.size()) - 1; i >= 0; --i) {
    const Node& node = spec_.nodes[static_cast<std::size_t>(i)];
    const bool carried = schedule_.staging != Staging::reread &&
                         std::any_of(carried_.begin(), carried_.end(), [&](const Carried& c) { return c.node == i; });
    const bool root = std::find(roots.begin(), roots.end(), i) != roots.end();
    const bool known = level_[static_cast<std::size_t>(i)] <= Level::row && !root;
    if (!used[static_cast<std::size_t>(i)] || carried || known) continue;
    for (int operand : {node.a, node.b, node.c})
      if (operand >= 0) used[static_cast<std::size_t>(operand)] = true;
  }
  return used;
}

/// Declares the carried values that these values use; write_staged fills them.
void CudaKernelWriter::take_from_shared(const std::vector<int>& roots) {
  const auto used = used_after_carrying(roots);
  for (std::size_t i = 0; i < carried_.size(); ++i) taken_[i] = used[static_cast<std::size_t>(carried_[i].node)];
  declare_words(carried_inputs());
  declare_carried();
}

/// What the outputs after the sums need and registers do not hold yet.
std::vector<int> CudaKernelWriter::late_columns() const {
  std::vector<int> columns = inputs_of(needed_by_outputs(true), Extent::column);
  for (int loaded : loaded_columns_) std::erase(columns, loaded);
  return columns;
}

/// Rows that do not stay in registers are loaded in batches; what a batch declares ends with it.
void CudaKernelWriter::open_batches() {
  if (schedule_.staging == Staging::registers) return;
  if (batch_ == shape_.leaves_per_thread) code_.open("{{");
  else code_.unrolled("batch", "LEAVES_PER_THREAD", batch_ > 1 ? "BATCH" : "1");
}
void CudaKernelWriter::close_batches() {
  if (schedule_.staging != Staging::registers) code_.close();
}

void CudaKernelWriter::write_reduction_pass() {
  const bool keep = schedule_.staging != Staging::reread;
  std::vector<bool> needed = needed_by(spec_, sum_);
  if (keep) {
    const auto later = needed_by_passes(1);
    for (std::size_t i = 0; i < needed.size(); ++i) needed[i] = needed[i] || later[i];
  }
  if (keep)
    for (const auto& more : {needed_by_outputs(false), needed_by_outputs(true)})
      for (std::size_t i = 0; i < needed.size(); ++i) needed[i] = needed[i] || more[i];
  const std::vector<int> rows = inputs_of(needed, Extent::row);
  const std::vector<int> columns = columns_of_first_pass();
  write_row_pointers(rows);
  if (keep) write_output_pointers(false);
  code_.blank();
  code_.comment("A skipped lane or segment is -0: adding it changes nothing, and a chain that starts from it is exact.");
  write_lane_sums();
  code_.blank();
  code_.comment("Load this thread's leaves.");
  open_batches();
  declare_words(rows);
  declare_words(columns);
  if (keep) declare_carried();
  open_leaves();
  write_load(rows);
  write_load(columns);
  code_.close();
  if (schedule_.staging == Staging::registers) {
    loaded_columns_ = columns;
    if (schedule_.early_weights) write_early_weights();
    code_.blank();
  }
  code_.comment("Leaf level: every leaf is a chain, first element first, that continues its lane's chain.");
  const bool stores = keep && std::any_of(spec_.outputs.begin(), spec_.outputs.end(), [&](const Output& output) {
                        return before_[static_cast<std::size_t>(output.value)];
                      });
  open_leaves(stores);
  if (keep) write_carried();
  write_chain();
  if (keep) write_outputs_of_leaf(false);
  if (schedule_.staging == Staging::shared) write_staged(true);
  code_.close();
  close_batches();
}

/// The words of these tensors for every leaf of a batch.
void CudaKernelWriter::load_leaves(const std::vector<int>& rows, const std::vector<int>& columns) {
  if (rows.empty() && columns.empty()) return;
  declare_words(rows);
  declare_words(columns);
  open_leaves();
  write_load(rows);
  write_load(columns);
  code_.close();
}

/// Another sum over values that registers or shared memory hold, or that are read again.
void CudaKernelWriter::write_later_pass() {
  const bool reread = schedule_.staging == Staging::reread;
  std::vector<int> columns = inputs_of(used_after_carrying({sum_}), Extent::column);
  for (int loaded : loaded_columns_) std::erase(columns, loaded);
  std::vector<int> rows;
  if (reread) {
    for (const Carried& carried : carried_) expression_.unbind(carried.node);
    rows = inputs_of(needed_by(spec_, sum_), Extent::row);
  }
  code_.blank();
  code_.comment(fmt::format("Pass {} over the row.", pass_ + 1));
  if (reread) write_row_pointers(rows);
  write_lane_sums();
  open_batches();
  load_leaves(rows, columns);
  if (schedule_.staging == Staging::registers) loaded_columns_.insert(loaded_columns_.end(), columns.begin(), columns.end());
  if (schedule_.staging == Staging::shared) take_from_shared({sum_});
  open_leaves(false);
  if (schedule_.staging == Staging::shared) write_staged(false);
  if (!reread) bind_carried();
  write_chain();
  code_.close();
  close_batches();
}

/// Values of level row that are known after this pass and that later passes or outputs use.
void CudaKernelWriter::write_row_values() {
  const auto by_outputs = needed_by_outputs(true);
  const auto by_passes = needed_by_passes(pass_ + 1);
  const auto known = [&](std::size_t i) { return static_cast<std::size_t>(passes_[i]) <= pass_ + 1; };
  std::vector<bool> wanted(spec_.nodes.size(), false);
  for (std::size_t i = 0; i < spec_.nodes.size(); ++i) {
    const Node& node = spec_.nodes[i];
    if (!by_outputs[i] && !by_passes[i]) continue;
    if (level_[i] == Level::row && known(i) && !node.name.empty()) wanted[i] = true;
    if (level_[i] < Level::column) continue;
    for (int operand : {node.a, node.b, node.c})
      if (operand >= 0 && level_[static_cast<std::size_t>(operand)] == Level::row && known(static_cast<std::size_t>(operand)))
        wanted[static_cast<std::size_t>(operand)] = true;
  }
  for (std::size_t i = 0; i < spec_.nodes.size(); ++i) {
    const int index = static_cast<int>(i);
    if (!wanted[i] || expression_.is_bound(index)) continue;
    code_.line("const float {} = {};", name_of_node(index), expression_.print(index));
    expression_.bind(index, name_of_node(index));
  }
}

void CudaKernelWriter::write_output_pass() {
  const bool reread = schedule_.staging == Staging::reread;
  const auto late = needed_by_outputs(true);
  const auto early = needed_by_outputs(false);
  std::vector<int> columns = late_columns();
  std::vector<int> rows;
  if (reread) {
    std::vector<bool> needed = late;
    for (std::size_t i = 0; i < needed.size(); ++i) needed[i] = needed[i] || early[i];
    rows = inputs_of(needed, Extent::row);
    columns = inputs_of(needed, Extent::column);
  }
  code_.blank();
  code_.comment("Outputs.");
  if (reread) {
    for (const Carried& carried : carried_) expression_.unbind(carried.node);
    write_row_pointers(rows);
    write_output_pointers(false);
  }
  write_output_pointers(true);
  const bool loaded = schedule_.staging == Staging::registers && schedule_.early_weights;
  open_batches();
  if (!loaded) load_leaves(rows, columns);
  if (schedule_.staging == Staging::shared) {
    std::vector<int> roots;
    for (const Output& output : spec_.outputs)
      if (!before_[static_cast<std::size_t>(output.value)]) roots.push_back(output.value);
    take_from_shared(roots);
  }
  open_leaves();
  if (schedule_.staging == Staging::shared) write_staged(false);
  if (!reread) bind_carried();
  if (reread) write_outputs_of_leaf(false);
  write_outputs_of_leaf(true);
  code_.close();
  close_batches();
}

std::vector<int> CudaKernelWriter::carried_inputs() const {
  std::vector<int> out;
  for (std::size_t i = 0; i < carried_.size(); ++i) {
    const Node& node = spec_.nodes[static_cast<std::size_t>(carried_[i].node)];
    if (node.op == Op::input && taken_[i]) out.push_back(node.tensor);
  }
  return out;
}

}  // namespace isofold
