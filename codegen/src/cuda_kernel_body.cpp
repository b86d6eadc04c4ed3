#include <fmt/format.h>

#include <algorithm>

#include "cuda_kernel_writer.hpp"

namespace isofold {
namespace {

std::string row_address(const std::string& name, int groups) {
  if (groups == 1) return fmt::format("{0} + row * {0}_stride", name);
  return fmt::format("{0} + row / {1} * {0}_stride + row % {1} * ROW_LENGTH", name, groups);
}

}  // namespace

std::string CudaKernelWriter::body(KernelPart part, std::size_t pass) {
  code_ = CodeWriter();
  pass_ = 0;
  part_ = part;
  part_pass_ = pass;
  expression_.unbind_all();
  declared_rows_.clear();
  loaded_columns_.clear();
  taken_.assign(carried_.size(), true);
  write_position(part);
  std::string row = schedule_.blocks_per_row > 1 ? "blockIdx.x / BLOCKS_PER_ROW" : "blockIdx.x";
  if (schedule_.rows_per_block > 1) row = "(long long)blockIdx.x * ROWS_PER_BLOCK + threadIdx.x / THREADS_PER_ROW";
  const bool has_numbers = std::any_of(spec_.outputs.begin(), spec_.outputs.end(), [&](const Output& o) { return is_token_output(o); });
  if (spec_.n == 0 && !has_numbers) return {};
  code_.line("const long long row = {};", row);
  write_constants(part);
  write_token_inputs(part);
  write_chosen_rows(part);
  if (spec_.n == 0) return empty_row_body();
  write_row_values(0);
  const std::size_t finished = part == KernelPart::outputs ? by_pass_.size() : part == KernelPart::partial_sums ? pass : 0;
  for (; pass_ < finished; ++pass_) {
    write_workspace_sums();
    write_row_values(pass_ + 1);
  }
  if (part != KernelPart::outputs) {
    const std::size_t end = part == KernelPart::partial_sums ? pass + 1 : by_pass_.size();
    for (; pass_ < end; ++pass_) {
      if (pass_ == 0) write_reduction_pass();
      else write_later_pass();
      write_lane_trees();
      write_block_exchange(part);
      if (part == KernelPart::whole) write_row_values(pass_ + 1);
    }
  }
  if (part == KernelPart::partial_sums) return code_.text();
  pass_ = by_pass_.size();
  write_output_pass();
  write_token_outputs();
  return code_.text();
}

/// A row without elements: its sums are 0.
std::string CudaKernelWriter::empty_row_body() {
  for (const int reduction : reductions_) expression_.bind(reduction, reduction_op(reduction) == Op::sum ? CudaExpression::literal(0, helpers_.is_wide()) : "__int_as_float(0x7fffffff)");
  write_row_values(by_pass_.size());
  write_token_outputs();
  return code_.text();
}

void CudaKernelWriter::write_position(KernelPart part) {
  const bool several_blocks = schedule_.blocks_per_row > 1;
  if (exchanged_ > 1 && part != KernelPart::outputs) {
    for (const int reduction : part == KernelPart::whole ? reductions_ : by_pass_[part_pass_])
      // Of their own: nobody has to wait until all have read those of the pass before.
      code_.line("__shared__ __align__(16) {} {}{}[{}];", helpers_.real(), own("warp_sums", reduction),
                 schedule_.rows_per_block > 1 ? "[ROWS_PER_BLOCK]" : "",
                 schedule_.split == Split::cluster
                     ? (shape_.warps_per_row > 1 ? "BLOCKS_PER_ROW * WARPS_PER_ROW" : "BLOCKS_PER_ROW")
                     : "WARPS_PER_ROW");
  }
  if (schedule_.staging == Staging::shared) {
    code_.comment("Word w of this thread's leaf i waits at staged[(i * STAGED_WORDS + w) * BLOCK_THREADS].");
    code_.line("extern __shared__ unsigned staged_rows[];");
    code_.line("unsigned* const staged = staged_rows + threadIdx.x;");
  }
  if (schedule_.shared_calls > 0) {
    code_.comment("Four values of a call wait at kept[piece * 4 * BLOCK_THREADS], LEAF / 4 pieces of a leaf one after another.");
    code_.line("extern __shared__ __align__(16) unsigned kept_calls[];");
    code_.line("unsigned* const kept = kept_calls + 4 * threadIdx.x;");
  }
  const bool stores_rows = std::any_of(spec_.outputs.begin(), spec_.outputs.end(), [&](const Output& o) { return !is_token_output(o); });
  const bool has_leaves = spec_.n > 0 && (stores_rows || (part != KernelPart::outputs && !reductions_.empty()));
  // A tree over many blocks is shared by the lanes of every warp.
  const bool reads_many_sums = schedule_.split == Split::workspace && schedule_.blocks_per_row > most_sums_of_a_thread &&
                               (part == KernelPart::outputs || (part == KernelPart::partial_sums && part_pass_ > 0));
  if (has_leaves || reads_many_sums) code_.line("const int lane = threadIdx.x % THREADS_PER_SEGMENT;");
  if (has_leaves && shape_.warps_per_row > 1)
    code_.line("const int warp = threadIdx.x / 32{};", schedule_.rows_per_block > 1 ? " % WARPS_PER_ROW" : "");
  if (several_blocks) {
    code_.line("const int block = blockIdx.x % BLOCKS_PER_ROW;");
    if (has_leaves) code_.line("const int row_warp = block{};", shape_.warps_per_row > 1 ? " * WARPS_PER_ROW + warp" : "");
  }
  if (schedule_.rows_per_block > 1 && exchanged_ > 1)
    code_.line("const int row_in_block = threadIdx.x / THREADS_PER_ROW;");
  if (schedule_.split == Split::cluster && !reductions_.empty()) code_.line("{}();", helpers_.use("cluster_arrive"));
  if (schedule_.dependent_launch) {
    // The earlier the next kernel is let in, the more of its start is hidden; before the wait it would be too early:
    // kernels after it may count on everything before this one being done. Measured: docs/benchmarks.md.
    code_.line("{}();", helpers_.use("wait_for_previous_kernel"));
    code_.line("{}();", helpers_.use("let_next_kernel_start"));
  }
}

/// Named values that depend on nothing, once: printed where they are used, each would be printed again in every other.
void CudaKernelWriter::write_constants(KernelPart part) {
  const std::vector<bool> wanted = needed_in(part);
  for (std::size_t i = 0; i < spec_.nodes.size(); ++i) {
    const Node& node = spec_.nodes[i];
    const int index = static_cast<int>(i);
    if (!wanted[i] || level_[i] != Level::constant || node.name.empty()) continue;
    expression_.unbind(index);
    code_.line("const {} {} = {};", expression_.type(index), node.name, expression_.print(index));
    expression_.bind(index, node.name);
  }
}

/// One number per token, or for all tokens, of the inputs that have no more.
void CudaKernelWriter::write_token_inputs(KernelPart part) {
  const std::vector<bool> needed = needed_in(part);
  std::vector<int> numbers = inputs_of(needed, Extent::token);
  for (int tensor : inputs_of(needed, Extent::scalar)) numbers.push_back(tensor);
  for (int tensor : numbers) {
    const Tensor& t = spec_.inputs[static_cast<std::size_t>(tensor)];
    const auto node = std::find_if(spec_.nodes.begin(), spec_.nodes.end(),
                                   [&](const Node& n) { return n.op == Op::input && n.tensor == tensor; });
    const auto index = static_cast<int>(node - spec_.nodes.begin());
    std::string value = t.extent == Extent::scalar ? t.name + "[0]" : fmt::format("{0}[row * {0}_stride]", t.name);
    if (token_mask_ && t.extent == Extent::token) value = fmt::format("row < tokens ? {} : 0", value);
    if (size_of(t.dtype) < 4) {
      code_.line("const unsigned {}_words = {};", t.name, value);
      value = fmt::format("{}(&{}_words, 0)", helpers_.widen(t.dtype), t.name);
    }
    code_.line("const {} {}_value = {};", expression_.type(index), t.name, value);
    expression_.bind(index, t.name + "_value");
  }
}

/// Rows of which single elements are read, and the token's row of columns that have several.
void CudaKernelWriter::write_chosen_rows(KernelPart part) {
  const std::vector<bool> needed = needed_in(part);
  for (std::size_t i = 0; i < spec_.nodes.size(); ++i)
    if (needed[i] && spec_.nodes[i].op == Op::element) write_row_pointers({spec_.nodes[i].tensor});
  for (int tensor : inputs_of(needed, Extent::column)) {
    const Tensor& t = spec_.inputs[static_cast<std::size_t>(tensor)];
    if (t.groups > 1)
      code_.line("const {0}* const {1}_row = {1} + row % {2} * ROW_LENGTH;", CudaHelpers::storage_type(t.dtype), t.name, t.groups);
  }
}

void CudaKernelWriter::write_row_pointers(const std::vector<int>& tensors) {
  for (int tensor : tensors) {
    const Tensor& t = spec_.inputs[static_cast<std::size_t>(tensor)];
    if (std::find(declared_rows_.begin(), declared_rows_.end(), tensor) != declared_rows_.end()) continue;
    declared_rows_.push_back(tensor);
    if (t.extent == Extent::row)
      code_.line("const {}* const {}_row = {};", CudaHelpers::storage_type(t.dtype), t.name, row_address(t.name, t.groups));
  }
}

void CudaKernelWriter::write_output_pointers(bool late) {
  for (const Output& o : spec_.outputs)
    if (!is_token_output(o) && before_[static_cast<std::size_t>(o.value)] != late)
      code_.line("{}* const {}_row = {};", CudaHelpers::storage_type(o.dtype), o.name, row_address(o.name, o.groups));
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

/// Declares the carried values that these values use; write_staged fills them.
void CudaKernelWriter::take_from_shared(const std::vector<int>& roots) {
  const auto used = used_after_carrying(roots);
  for (std::size_t i = 0; i < carried_.size(); ++i) taken_[i] = used[static_cast<std::size_t>(carried_[i].node)];
  declare_words(carried_inputs());
  declare_carried();
  kept_taken_.assign(kept_.size(), false);
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    kept_taken_[i] = static_cast<std::size_t>(kept_[i].pass) < pass_ && used[static_cast<std::size_t>(kept_[i].node)];
    if (kept_taken_[i]) code_.line("float {}{}[LEAF];", name_of_node(kept_[i].node), slot_count());
  }
}

/// Rows that do not stay in registers are loaded in batches; what a batch declares ends with it.
void CudaKernelWriter::open_batches() {
  if (schedule_.staging == Staging::registers) return;
  if (shape_.looped) {
    const bool several = shape_.segments_per_warp > 1;
    if (several) code_.unrolled("s", "SEGMENTS_PER_WARP");
    code_.line("#pragma unroll 1");
    code_.open("for (int batch = {0}; batch < {1}; batch += {2}) {{", several ? "s * ROUNDS" : "0",
               several ? "(s + 1) * ROUNDS" : "ROUNDS", batch_ > 1 ? "BATCH" : "1");
  } else if (all_at_once()) {
    code_.open("{{");
  } else {
    code_.unrolled("batch", "LEAVES_PER_THREAD", batch_ > 1 ? "BATCH" : "1");
  }
}
void CudaKernelWriter::close_batches() {
  if (schedule_.staging == Staging::registers) return;
  if (shape_.looped && shape_.segments_per_warp > 1) code_.close();
  code_.close();
}

void CudaKernelWriter::write_reduction_pass() {
  const bool keep = schedule_.staging != Staging::reread;
  std::vector<bool> needed(spec_.nodes.size(), false);
  for (const int reduction : by_pass_.front()) {
    include(needed, needed_by(spec_, reduction));
  }
  if (keep) {
    include(needed, needed_by_passes(1));
  }
  if (keep)
    for (const auto& more : {needed_by_outputs(false), needed_by_outputs(true)})
      include(needed, more);
  const std::vector<int> rows = inputs_of(needed, Extent::row);
  const std::vector<int> columns = columns_of_first_pass();
  write_row_pointers(rows);
  if (keep) write_output_pointers(false);
  code_.blank();
  code_.comment(reduction_op(pass_reductions().front()) == Op::sum
                    ? "A skipped lane or segment is -0: adding it changes nothing, and a chain that starts from it is exact."
                    : "A skipped lane or segment is an infinity that any other value replaces.");
  write_lane_sums();
  code_.blank();
  code_.comment("Load this thread's leaves.");
  open_batches();
  declare_words(rows);
  declare_words(columns);
  if (keep) declare_carried();
  if (!rows.empty() || !columns.empty()) {
    open_leaves();
    write_load(rows);
    write_load(columns);
    code_.close();
  }
  if (schedule_.staging == Staging::registers) {
    loaded_columns_ = columns;
    if (schedule_.early_weights) write_early_weights();
    code_.blank();
  }
  code_.comment("Leaf level: every leaf is a chain, first element first, that continues its lane's chain.");
  const bool stores = keep && std::any_of(spec_.outputs.begin(), spec_.outputs.end(), [&](const Output& output) {
                        return !is_token_output(output) && before_[static_cast<std::size_t>(output.value)];
                      });
  open_leaves(stores, is_masked(rows));
  write_masks(rows);
  if (keep) write_carried();
  write_chains();
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

/// Reductions over values that registers or shared memory hold, or that are read again.
void CudaKernelWriter::write_later_pass() {
  const bool reread = schedule_.staging == Staging::reread;
  std::vector<int> columns = inputs_of(used_after_carrying(taken_by_pass()), Extent::column);
  for (int loaded : loaded_columns_) std::erase(columns, loaded);
  std::vector<int> rows;
  if (reread) {
    for (const Carried& carried : carried_) expression_.unbind(carried.node);
    std::vector<bool> needed(spec_.nodes.size(), false);
    for (const int reduction : pass_reductions()) {
      include(needed, needed_along_row(spec_, reduction));
    }
    rows = inputs_of(needed, Extent::row);
  }
  code_.blank();
  code_.comment(fmt::format("Pass {} over the row.", pass_ + 1));
  if (reread) write_row_pointers(rows);
  write_lane_sums();
  open_batches();
  load_leaves(rows, columns);
  if (schedule_.staging == Staging::registers) loaded_columns_.insert(loaded_columns_.end(), columns.begin(), columns.end());
  if (schedule_.staging == Staging::shared) take_from_shared(taken_by_pass());
  for (const Carried& kept : kept_)
    if (static_cast<std::size_t>(kept.pass) == pass_ && schedule_.shared_calls < shape_.leaves_per_thread)
      code_.line("float {}{}[LEAF];", name_of_node(kept.node), calls_slot_count());
  open_leaves(false, is_masked(rows));
  write_masks(rows);
  if (schedule_.staging == Staging::shared) write_staged(false);
  if (!reread) bind_carried();
  take_calls(taken_by_pass());
  write_kept();
  write_chains();
  code_.close();
  close_batches();
}

/// Values of level row that are known after so many passes and that later passes or outputs use.
void CudaKernelWriter::write_row_values(std::size_t passes_done) {
  std::vector<bool> needed = needed_in(part_);
  if (part_ == KernelPart::whole) {
    needed = needed_by_passes(passes_done);
    include(needed, needed_by_outputs(true));
    include(needed, needed_by_outputs(false));
  }
  const auto known = [&](std::size_t i) { return static_cast<std::size_t>(passes_[i]) <= passes_done; };
  std::vector<bool> wanted(spec_.nodes.size(), false);
  for (std::size_t i = 0; i < spec_.nodes.size(); ++i) {
    const Node& node = spec_.nodes[i];
    if (!needed[i]) continue;
    // A single element is read as early as it can be: whoever uses it at the end would wait for it.
    if (level_[i] == Level::row && known(i) && (!node.name.empty() || node.op == Op::element)) wanted[i] = true;
    if (level_[i] < Level::column) continue;
    for (int operand : {node.a, node.b, node.c})
      if (operand >= 0 && level_[static_cast<std::size_t>(operand)] == Level::row && known(static_cast<std::size_t>(operand)))
        wanted[static_cast<std::size_t>(operand)] = true;
  }
  for (std::size_t i = 0; i < spec_.nodes.size(); ++i) {
    const int index = static_cast<int>(i);
    if (!wanted[i] || expression_.is_bound(index)) continue;
    code_.line("const {} {} = {};", expression_.type(index), name_of_node(index), expression_.print(index));
    expression_.bind(index, name_of_node(index));
  }
}

/// One number per token, by the first thread of the row.
void CudaKernelWriter::write_token_outputs() {
  std::vector<const Output*> outputs;
  for (const Output& output : spec_.outputs)
    if (is_token_output(output)) outputs.push_back(&output);
  if (outputs.empty()) return;
  code_.blank();
  code_.comment("One number per token.");
  std::string first = "threadIdx.x";
  if (schedule_.rows_per_block > 1) first += " % THREADS_PER_ROW";
  first += " == 0";
  if (schedule_.blocks_per_row > 1) first += " && block == 0";
  if (token_mask_) first += " && row < tokens";
  code_.open("if ({}) {{", first);
  for (const Output* output : outputs) {
    const std::string value = expression_.print(output->value);
    const auto size = size_of(output->dtype);
    if (output->dtype == DType::f64) {
      code_.line("unsigned {}_words[2];", output->name);
      code_.line("{}({}_words, {});", helpers_.pack(DType::f64), output->name, value);
      code_.line("{0}({1} + row * {1}_stride, {1}_words);", helpers_.store(8, CudaHelpers::Memory::cached), output->name);
      continue;
    }
    const std::string rest = size == 4 ? "" : size == 2 ? ", 0.0f" : ", 0.0f, 0.0f, 0.0f";
    code_.line("const unsigned {}_words[1] = {{{}({}{})}};", output->name, helpers_.pack(output->dtype), value, rest);
    code_.line("{0}({1} + row * {1}_stride, {1}_words{2});", helpers_.store(static_cast<int>(size), CudaHelpers::Memory::cached),
               output->name, size == 4 ? "" : ", 0");
  }
  code_.close();
}

void CudaKernelWriter::write_output_pass() {
  const bool early_too = schedule_.staging == Staging::reread;
  if (std::none_of(spec_.outputs.begin(), spec_.outputs.end(), [&](const Output& output) {
        return !is_token_output(output) && (early_too || !before_[static_cast<std::size_t>(output.value)]);
      }))
    return;
  const bool reread = schedule_.staging == Staging::reread;
  std::vector<int> columns = late_columns();
  std::vector<int> rows;
  if (reread) {
    std::vector<bool> needed(spec_.nodes.size(), false);
    for (const Output& output : spec_.outputs) {
      if (is_token_output(output)) continue;
      include(needed, needed_along_row(spec_, output.value));
    }
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
  if (schedule_.staging == Staging::shared) take_from_shared(late_row_outputs());
  open_leaves();
  write_masks(rows);
  if (schedule_.staging == Staging::shared) write_staged(false);
  if (!reread) bind_carried();
  take_calls(late_row_outputs());
  if (reread) write_outputs_of_leaf(false);
  write_outputs_of_leaf(true);
  code_.close();
  close_batches();
}

}  // namespace isofold
