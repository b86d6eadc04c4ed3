#include <fmt/format.h>

#include <algorithm>

#include "cuda_kernel_writer.hpp"

// What later passes and the outputs use of earlier ones, in registers or in shared memory.

namespace isofold {

/// Where word w of a value waits whose words begin at the leaf's word `first`.
std::string CudaKernelWriter::staged_word(int first) const {
  return fmt::format("staged[({} * STAGED_WORDS + {}w) * BLOCK_THREADS]", leaf_index(), first ? fmt::format("{} + ", first) : "");
}

void CudaKernelWriter::write_staged(bool to_shared) {
  if (!to_shared)
    for (std::size_t i = 0; i < kept_.size(); ++i)
      if (kept_taken_[i]) write_kept_staged(i, false);
  int first = 0;
  for (std::size_t i = 0; i < carried_.size(); ++i) {
    const Carried& carried = carried_[i];
    const int words = words_per_leaf(carried.dtype, fold_);
    if (!to_shared && !taken_[i]) {
      first += words;
      continue;
    }
    const bool exact = is_exact(carried);
    const std::string name = name_of_node(carried.node) + (exact ? "" : "_words") + slot();
    const std::string at = staged_word(first);
    code_.unrolled("w", fmt::format("{}", words));
    if (to_shared) code_.line("{} = {};", at, fmt::format(fmt::runtime(exact ? "__float_as_uint({}[w])" : "{}[w]"), name));
    else code_.line("{}[w] = {};", name, exact ? fmt::format("__uint_as_float({})", at) : at);
    code_.close();
    first += words;
  }
}

bool CudaKernelWriter::is_exact(const Carried& carried) const {
  return carried.dtype == DType::f32 && spec_.nodes[static_cast<std::size_t>(carried.node)].op != Op::input;
}

void CudaKernelWriter::declare_carried() {
  for (std::size_t i = 0; i < carried_.size(); ++i) {
    const Carried& carried = carried_[i];
    const Node& node = spec_.nodes[static_cast<std::size_t>(carried.node)];
    if (node.op == Op::input || !taken_[i]) continue;
    const std::string name = name_of_node(carried.node);
    if (is_exact(carried)) code_.line("float {}{}[LEAF];", name, slot_count());
    else code_.line("unsigned {}_words{}[{}];", name, slot_count(), words_per_leaf(carried.dtype, fold_));
  }
}

void CudaKernelWriter::bind_to_leaf(const Carried& carried) {
  const std::string name = name_of_node(carried.node);
  if (is_exact(carried)) expression_.bind(carried.node, fmt::format("{}{}[e]", name, slot()));
  else expression_.bind(carried.node, fmt::format("{}({}_words{}, e)", helpers_.widen(carried.dtype), name, slot()));
}

/// What earlier passes have left for this one.
void CudaKernelWriter::bind_carried() {
  for (const Carried& carried : carried_) bind_to_leaf(carried);
  for (const Carried& kept : kept_)
    if (static_cast<std::size_t>(kept.pass) < pass_) bind_to_leaf(kept);
}

/// Leaves of the registers that hold calls.
std::string CudaKernelWriter::calls_slot_count() const {
  return schedule_.shared_calls > 0 ? "[LEAVES_PER_THREAD - SHARED_LEAVES]" : slot_count();
}

/// Moves the calls of a leaf between `name_values` and where they wait.
void CudaKernelWriter::write_shared_calls(std::size_t kept, bool to_shared) {
  const std::string name = name_of_node(kept_[kept].node);
  const std::size_t before = kept * static_cast<std::size_t>(fold_.leaf) / 4;
  const std::string per_leaf = kept_.size() > 1 ? fmt::format("{} * LEAF / 4", kept_.size()) : "LEAF / 4";
  const std::string piece = fmt::format("{} * {}{} + p", leaf_index(), fold_.leaf == 4 && kept_.size() == 1 ? "1" : "(" + per_leaf + ")", before ? fmt::format(" + {}", before) : "");
  const bool has_registers = schedule_.shared_calls < shape_.leaves_per_thread;
  if (has_registers) code_.open("if (i < SHARED_LEAVES) {{");
  code_.unrolled("p", "LEAF / 4");
  if (to_shared) code_.line("{}(kept + ({}) * 4 * BLOCK_THREADS, {}_values + 4 * p);", helpers_.use("put_4"), piece, name);
  else code_.line("{}({}_values + 4 * p, kept + ({}) * 4 * BLOCK_THREADS);", helpers_.use("take_4"), name, piece);
  code_.close();
  if (!has_registers) return;
  code_.otherwise();
  code_.unrolled("e", "LEAF");
  if (to_shared) code_.line("{0}[i - SHARED_LEAVES][e] = {0}_values[e];", name);
  else code_.line("{0}_values[e] = {0}[i - SHARED_LEAVES][e];", name);
  code_.close();
  code_.close();
}

/// What these values use of the calls that earlier passes have kept.
void CudaKernelWriter::take_calls(const std::vector<int>& roots) {
  if (schedule_.shared_calls == 0) return;
  const auto used = used_after_carrying(roots);
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    if (static_cast<std::size_t>(kept_[i].pass) >= pass_ || !used[static_cast<std::size_t>(kept_[i].node)]) continue;
    const std::string name = name_of_node(kept_[i].node);
    code_.line("float {}_values[LEAF];", name);
    write_shared_calls(i, false);
    expression_.bind(kept_[i].node, name + "_values[e]");
  }
}

/// Chooses what later passes keep. In shared memory it takes the place of what is not needed after it.
void CudaKernelWriter::keep_values() {
  const std::vector<Carried> all = kept_calls(spec_);
  if (schedule_.staging == Staging::registers) kept_ = all;
  if (schedule_.staging != Staging::shared) return;
  for (const Carried& kept : all) {
    kept_.push_back(kept);
    pass_ = static_cast<std::size_t>(kept.pass) + 1;  // as the passes after it see it
    std::vector<int> roots = late_row_outputs();
    for (std::size_t pass = pass_; pass < by_pass_.size(); ++pass)
      for (const int reduction : by_pass_[pass]) roots.push_back(spec_.nodes[static_cast<std::size_t>(reduction)].a);
    const auto used = used_after_carrying(roots);
    int place = 0, found = -1;
    for (const Carried& carried : carried_) {
      const int words = words_per_leaf(carried.dtype, fold_);
      const bool is_free = !used[static_cast<std::size_t>(carried.node)] && words == words_per_leaf(kept.dtype, fold_) &&
                           std::find(kept_place_.begin(), kept_place_.end(), place) == kept_place_.end();
      if (is_free && found < 0) found = place;
      place += words;
    }
    if (found < 0) kept_.pop_back();
    else kept_place_.push_back(found);
  }
  pass_ = 0;
}

/// Values of this pass that stay for later ones.
void CudaKernelWriter::write_kept() {
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    if (static_cast<std::size_t>(kept_[i].pass) != pass_) continue;
    const std::string name = name_of_node(kept_[i].node);
    if (schedule_.shared_calls > 0) {
      code_.line("float {}_values[LEAF];", name);
      write_values(name + "_values", kept_[i].node);
      expression_.bind(kept_[i].node, name + "_values[e]");
      write_shared_calls(i, true);
      continue;
    }
    write_values(name + slot(), kept_[i].node);
    bind_to_leaf(kept_[i]);
    if (schedule_.staging == Staging::shared) write_kept_staged(i, true);
  }
}

void CudaKernelWriter::write_kept_staged(std::size_t kept, bool to_shared) {
  const std::string name = name_of_node(kept_[kept].node) + slot();
  const std::string at = staged_word(kept_place_[kept]);
  code_.unrolled("w", "LEAF");
  if (to_shared) code_.line("{} = __float_as_uint({}[w]);", at, name);
  else code_.line("{}[w] = __uint_as_float({});", name, at);
  code_.close();
}

/// From loaded words to carried values.
void CudaKernelWriter::write_carried() {
  for (const Carried& carried : carried_) {
    const Node& node = spec_.nodes[static_cast<std::size_t>(carried.node)];
    if (node.op == Op::input) continue;
    const std::string name = name_of_node(carried.node);
    expression_.unbind(carried.node);
    if (is_exact(carried)) {
      write_values(name + slot(), carried.node);
    } else {
      code_.line("float {}_exact[LEAF];", name);
      write_values(name + "_exact", node.a);
      write_pack(name + "_words" + slot(), carried.dtype, name + "_exact", node.a);
    }
  }
  bind_carried();
}

}  // namespace isofold
