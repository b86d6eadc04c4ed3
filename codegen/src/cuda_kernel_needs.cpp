#include <algorithm>

#include "cuda_kernel_writer.hpp"

// Which values, tensors and columns a kernel, a pass or an output needs.

namespace isofold {

std::vector<int> CudaKernelWriter::inputs_of(const std::vector<bool>& needed, Extent extent) const {
  std::vector<int> out;
  for (std::size_t i = 0; i < spec_.nodes.size(); ++i)
    if (needed[i] && spec_.nodes[i].op == Op::input &&
        spec_.inputs[static_cast<std::size_t>(spec_.nodes[i].tensor)].extent == extent)
      out.push_back(spec_.nodes[i].tensor);
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<bool> CudaKernelWriter::needed_by_outputs(bool late) const {
  std::vector<bool> out(spec_.nodes.size(), false);
  for (const Output& output : spec_.outputs) {
    if ((!is_token_output(output) && before_[static_cast<std::size_t>(output.value)]) == late) continue;
    include(out, needed_by(spec_, output.value));
  }
  return out;
}

/// What the reductions of pass `first` and later ones need.
std::vector<bool> CudaKernelWriter::needed_by_passes(std::size_t first) const {
  std::vector<bool> out(spec_.nodes.size(), false);
  for (std::size_t pass = first; pass < by_pass_.size(); ++pass)
    for (const int reduction : by_pass_[pass]) {
      include(out, needed_by(spec_, reduction));
    }
  return out;
}

/// What a kernel computes. With Split::workspace each pass has one, and the outputs; sums that come from the workspace need nothing.
std::vector<bool> CudaKernelWriter::needed_in(KernelPart part) const {
  std::vector<bool> needed = needed_by_passes(0);
  if (part != KernelPart::whole) needed.assign(spec_.nodes.size(), false);
  if (part == KernelPart::partial_sums)
    for (const int reduction : by_pass_[part_pass_]) needed[static_cast<std::size_t>(spec_.nodes[static_cast<std::size_t>(reduction)].a)] = true;
  else
    for (const Output& output : spec_.outputs) needed[static_cast<std::size_t>(output.value)] = true;
  for (std::size_t i = spec_.nodes.size(); i-- > 0;) {
    const Node& node = spec_.nodes[i];
    if (!needed[i] || (part != KernelPart::whole && is_reduction(node.op))) continue;
    for (int operand : {node.a, node.b, node.c})
      if (operand >= 0) needed[static_cast<std::size_t>(operand)] = true;
  }
  return needed;
}

/// What the first pass, early outputs and carried values need.
std::vector<int> CudaKernelWriter::columns_of_first_pass() const {
  std::vector<bool> needed(spec_.nodes.size(), false);
  const auto also = [&](const std::vector<bool>& more) {
    include(needed, more);
  };
  for (const int reduction : by_pass_.front()) also(needed_by(spec_, reduction));
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
    const auto is_here = [&](const Carried& c) { return c.node == i && static_cast<std::size_t>(c.pass) < std::max<std::size_t>(pass_, 1); };
    const bool carried = schedule_.staging != Staging::reread && (std::any_of(carried_.begin(), carried_.end(), is_here) ||
                                                                  std::any_of(kept_.begin(), kept_.end(), is_here));
    const bool root = std::find(roots.begin(), roots.end(), i) != roots.end();
    const bool known = level_[static_cast<std::size_t>(i)] <= Level::row && !root;
    if (!used[static_cast<std::size_t>(i)] || carried || known) continue;
    for (int operand : {node.a, node.b, node.c})
      if (operand >= 0) used[static_cast<std::size_t>(operand)] = true;
  }
  return used;
}

/// What the outputs after the sums need and registers do not hold yet.
std::vector<int> CudaKernelWriter::late_columns() const {
  std::vector<bool> needed(spec_.nodes.size(), false);
  for (const Output& output : spec_.outputs) {
    if (is_token_output(output) || before_[static_cast<std::size_t>(output.value)]) continue;
    include(needed, needed_along_row(spec_, output.value));
  }
  std::vector<int> columns = inputs_of(needed, Extent::column);
  for (int loaded : loaded_columns_) std::erase(columns, loaded);
  return columns;
}

/// Values of outputs along the row that are known after the sums only.
std::vector<int> CudaKernelWriter::late_row_outputs() const {
  std::vector<int> out;
  for (const Output& output : spec_.outputs)
    if (!is_token_output(output) && !before_[static_cast<std::size_t>(output.value)]) out.push_back(output.value);
  return out;
}

/// What the pass's reductions take from every element.
std::vector<int> CudaKernelWriter::taken_by_pass() const {
  std::vector<int> out;
  for (const int reduction : pass_reductions()) {
    const auto taken = taken_by(spec_, reduction);
    out.insert(out.end(), taken.begin(), taken.end());
  }
  return out;
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
