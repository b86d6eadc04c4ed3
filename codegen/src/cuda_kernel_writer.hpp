#pragma once
#include <isofold/codegen/plan.hpp>

#include <string>
#include <utility>
#include <vector>

#include "carry.hpp"
#include "code_writer.hpp"
#include "cuda_expression.hpp"
#include "cuda_helpers.hpp"
#include "masked_input.hpp"

namespace isofold {

/// `needed` with what is needed besides.
inline void include(std::vector<bool>& needed, const std::vector<bool>& more) {
  for (std::size_t i = 0; i < needed.size(); ++i) needed[i] = needed[i] || more[i];
}

/// Which of a plan's kernels is written. Split::workspace has one of partial sums for each pass, then the outputs.
enum class KernelPart { whole, partial_sums, outputs };

/// Sums that every thread adds alone; more are shared out to the lanes of a warp.
inline constexpr int most_sums_of_a_thread = 16;

/// Writes the statements of a kernel's body, section by section in the order of execution.
/// cuda_kernel_body.cpp holds the sections, cuda_kernel_tree.cpp those above the leaves, cuda_kernel_carry.cpp what passes
/// leave for later ones, cuda_kernel_mask.cpp the masks of inputs, cuda_kernel_needs.cpp what each of them needs,
/// cuda_kernel_writer.cpp the statements for one leaf.
class CudaKernelWriter {
 public:
  CudaKernelWriter(const Plan& plan, CudaHelpers& helpers);

  std::string leaf_position() const;  // device functions that map a thread's leaf to its elements
  std::string parameters() const;     // of the kernel
  std::string body(KernelPart part, std::size_t pass = 0);
  std::size_t passes() const { return by_pass_.size(); }
  int batch() const { return batch_; }
  bool has_long_row() const { return long_row_; }

 private:
  // Sections.
  void write_position(KernelPart part);
  void write_constants(KernelPart part);
  void write_chosen_rows(KernelPart part);
  void write_row_pointers(const std::vector<int>& tensors);
  std::string empty_row_body();
  void write_output_pointers(bool late);
  void write_early_weights();
  void write_reduction_pass();
  void write_later_pass();
  void write_token_inputs(KernelPart part);
  void write_lane_sums();
  void write_lane_trees();
  void write_lane_tree(int reduction);
  void write_block_exchange(KernelPart part);
  void write_segment_tree(int reduction, const std::string& sums, const std::string& count, int number);
  void write_workspace_sums();
  std::string in_workspace(int reduction) const;
  void write_row_values(std::size_t passes_done);
  void write_output_pass();
  void write_token_outputs();

  // One leaf.
  void open_batches();
  void close_batches();
  void open_leaves(bool accesses_memory = true, bool masks_leaf = false);
  void begin_leaf(bool accesses_memory, bool masks_leaf);
  void write_load(const std::vector<int>& tensors);
  void load_leaves(const std::vector<int>& rows, const std::vector<int>& columns);
  void write_masks(const std::vector<int>& rows);
  void write_carried();
  void keep_values();
  void write_kept();
  void take_calls(const std::vector<int>& roots);
  void write_shared_calls(std::size_t kept, bool to_shared);
  std::string calls_slot_count() const;
  std::string staged_word(int first) const;
  void write_kept_staged(std::size_t kept, bool to_shared);
  void write_chains();
  void write_pairs(int reduction);
  void write_elements_of_chains(const std::vector<int>& chained);
  void write_chain(int reduction, std::vector<std::pair<int, std::string>>& rebound);
  void write_staged(bool to_shared);
  void write_outputs_of_leaf(bool late);
  void write_values(const std::string& values, int root);
  bool gives_one_nan(int node) const;
  void write_pack(const std::string& words, DType dtype, const std::string& values, int node);
  void write_store(const Output& output, const std::string& words);
  std::vector<int> write_inner_values(const std::vector<int>& roots);
  void declare_words(const std::vector<int>& tensors);
  void declare_carried();
  void bind_input(int tensor);
  void bind_carried();
  void bind_to_leaf(const Carried& carried);

  std::vector<int> inputs_of(const std::vector<bool>& needed, Extent extent) const;
  std::vector<int> carried_inputs() const;
  std::vector<int> columns_of_first_pass() const;
  std::vector<bool> used_after_carrying(const std::vector<int>& roots) const;
  void take_from_shared(const std::vector<int>& roots);
  std::vector<int> late_columns() const;
  std::vector<int> late_row_outputs() const;
  std::vector<bool> needed_by_outputs(bool late) const;
  std::vector<bool> needed_in(KernelPart part) const;
  std::vector<bool> needed_by_passes(std::size_t first) const;
  const std::vector<int>& pass_reductions() const { return by_pass_[pass_]; }
  std::vector<int> taken_by_pass() const;
  Op reduction_op(int reduction) const { return spec_.nodes[static_cast<std::size_t>(reduction)].op; }
  std::string combined(int reduction, const std::string& a, const std::string& b) const;
  std::string identity(int reduction) const;
  std::string own(const std::string& name, int reduction) const;
  std::string lane_result(int reduction) const;
  bool has_order(int reduction) const { return reduction_op(reduction) == Op::sum; }
  bool takes_pairs(int reduction) const;
  const Node& operand_of(int reduction) const;
  DType dtype_of_operand(int reduction) const;
  std::ptrdiff_t place_of(int reduction) const;
  std::string warp_extreme(int reduction);
  void write_lane_extreme(int reduction);
  bool is_token_output(const Output& output) const { return output.extent == Extent::token; }
  bool is_masked(const std::vector<int>& rows) const;
  bool is_exact(const Carried& carried) const;  // kept as binary32 values, not as packed words
  std::string name_of_node(int index) const;
  const char* leaf_index() const;
  bool all_at_once() const { return batch_ == shape_.leaves_per_thread; }
  std::string slot() const;        // index of the leaf in arrays of words: "[i]", "[b]" or ""
  std::string slot_count() const;  // the extent of that index
  std::string sum_slot() const;    // index of the leaf's chain
  int pieces(DType dtype) const;   // accesses per leaf
  int piece_bytes(DType dtype) const;
  bool masked() const {
    return segment_mask_ || row_mask_ || tail_mask_ || (shape_.looped && shape_.rounds % batch_ != 0);
  }
  CudaHelpers::Memory row_memory() const;

  const std::vector<MaskedInput> masks_;
  const Spec spec_;  // the plan's with masked inputs
  const Fold& fold_;
  const GpuSchedule& schedule_;
  const GpuShape shape_;
  CudaHelpers& helpers_;
  CudaExpression expression_;
  CodeWriter code_;
  std::vector<Carried> carried_;
  std::vector<Carried> kept_;    // values of later passes that stay where the row does
  std::vector<int> kept_place_;  // staging=shared: their first word, that of a carried value which is not needed any more
  std::vector<bool> kept_taken_;  // what the pass that is being written takes of them from shared memory
  std::vector<bool> taken_;    // of carried_: what the pass that is being written takes from shared memory
  std::vector<Level> level_;
  std::vector<int> passes_;    // before each value is known
  std::vector<bool> before_;   // every pass: known from the tensors alone
  std::vector<int> reductions_;
  std::vector<std::vector<int>> by_pass_;
  std::size_t pass_ = 0;       // the one that is being written
  KernelPart part_ = KernelPart::whole;
  std::size_t part_pass_ = 0;  // of KernelPart::partial_sums
  std::vector<int> declared_rows_;   // tensors that have a row pointer
  std::vector<int> loaded_columns_;  // tensors whose words stay in registers
  std::string row_warp_;       // variable that numbers the warps of a row; empty when one warp has all of it
  int chains_ = 1;             // lane sums of a thread
  int batch_ = 1;              // leaves loaded together
  bool long_row_ = false;      // its padded elements do not fit 32 bits
  int exchanged_ = 1;          // warp sums that meet in shared memory
  bool segment_mask_ = false;  // some lanes of a segment's last round have no leaf
  bool row_mask_ = false;      // some leaves begin after the row's end
  bool tail_mask_ = false;     // the last leaf is short
  bool token_mask_ = false;    // a block's last rows may not exist
};

}  // namespace isofold
