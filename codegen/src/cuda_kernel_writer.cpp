#include "cuda_kernel_writer.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace isofold {
namespace {

/// Registers of a thread that a batch of loaded leaves may fill: half of those that a full block leaves to a thread.
int batch_words(int block_threads) { return std::min(64, 65536 / block_threads / 2 - 8); }

}  // namespace

CudaKernelWriter::CudaKernelWriter(const Plan& plan, CudaHelpers& helpers)
    : spec_(plan.spec()),
      fold_(plan.fold()),
      schedule_(plan.gpu()),
      shape_(gpu_shape(plan)),
      helpers_(helpers),
      expression_(spec_, helpers),
      carried_(carried_values(spec_)),
      level_(levels(spec_)),
      passes_(passes_before(spec_)),
      sums_(sum_nodes(spec_)),
      sum_(sums_.front()) {
  for (int passes : passes_) before_.push_back(passes == 0);
  taken_.assign(carried_.size(), true);
  const std::int64_t segment_leaves = leaves_per_segment(fold_, spec_.n);
  chains_ = shape_.segments_per_warp * shape_.lanes_per_thread;
  segment_mask_ = segment_leaves % fold_.lanes != 0;
  row_mask_ = segment_leaves * fold_.segments != leaves(fold_, spec_.n);
  if (schedule_.blocks_per_row > 1) row_warp_ = "row_warp";
  else if (shape_.warps_per_row > 1) row_warp_ = "warp";
  tail_mask_ = spec_.n % fold_.leaf != 0;
  token_mask_ = schedule_.rows_per_block > 1;
  exchanged_ = shape_.warps_per_row * (schedule_.split == Split::cluster ? schedule_.blocks_per_row : 1);
  batch_ = shape_.leaves_per_thread;
  if (schedule_.staging != Staging::registers) {
    int words = 0;
    for (int tensor : inputs_of(std::vector<bool>(spec_.nodes.size(), true), Extent::row))
      words += words_per_leaf(spec_.inputs[static_cast<std::size_t>(tensor)].dtype, fold_);
    while (batch_ > 1 && (batch_ * words > batch_words(shape_.block_threads) || shape_.leaves_per_thread % batch_ != 0)) --batch_;
  }
}

CudaHelpers::Memory CudaKernelWriter::row_memory() const {
  return schedule_.streaming ? CudaHelpers::Memory::streaming : CudaHelpers::Memory::cached;
}
int CudaKernelWriter::piece_bytes(DType dtype) const {
  return std::min(16, schedule_.vector * static_cast<int>(size_of(dtype)));
}
int CudaKernelWriter::pieces(DType dtype) const {
  return fold_.leaf * static_cast<int>(size_of(dtype)) / piece_bytes(dtype);
}
std::string CudaKernelWriter::slot() const {
  return batch_ == 1 ? "" : batch_ == shape_.leaves_per_thread ? "[i]" : "[b]";
}
std::string CudaKernelWriter::sum_slot() const {
  const int per_segment = shape_.rounds * shape_.lanes_per_thread;
  if (chains_ == 1) return "";
  if (shape_.leaves_per_thread == chains_) return "[i]";
  if (shape_.lanes_per_thread == 1) return "[i / ROUNDS]";
  if (shape_.segments_per_warp == 1) return "[i % LANES_PER_THREAD]";
  return fmt::format("[i / {} * LANES_PER_THREAD + i % LANES_PER_THREAD]", per_segment);
}
std::string CudaKernelWriter::name_of_node(int index) const {
  const std::string& name = spec_.nodes[static_cast<std::size_t>(index)].name;
  return name.empty() ? fmt::format("value_{}", index) : name;
}
std::string CudaKernelWriter::slot_count() const {
  return batch_ == 1 ? "" : batch_ == shape_.leaves_per_thread ? "[LEAVES_PER_THREAD]" : "[BATCH]";
}
void CudaKernelWriter::declare_words(const std::vector<int>& tensors) {
  for (int tensor : tensors) {
    const Tensor& t = spec_.inputs[static_cast<std::size_t>(tensor)];
    code_.line("unsigned {}_words{}[{}]{};", t.name, slot_count(), words_per_leaf(t.dtype, fold_),
               masked() || token_mask_ ? " = {}" : "");
  }
}

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
    if (before_[static_cast<std::size_t>(output.value)] == late) continue;
    const auto needed = needed_by(spec_, output.value);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = out[i] || needed[i];
  }
  return out;
}

/// What the sums of pass `first` and later ones need.
std::vector<bool> CudaKernelWriter::needed_by_passes(std::size_t first) const {
  std::vector<bool> out(spec_.nodes.size(), false);
  for (std::size_t pass = first; pass < sums_.size(); ++pass) {
    const auto needed = needed_by(spec_, sums_[pass]);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = out[i] || needed[i];
  }
  return out;
}

/// The pass's own variable of that name.
std::string CudaKernelWriter::of_pass(const std::string& name) const {
  return pass_ == 0 ? name : fmt::format("{}_{}", name, pass_ + 1);
}

std::string CudaKernelWriter::leaf_position() const {
  CodeWriter code;
  const bool several_lanes = shape_.lanes_per_thread > 1;
  const int per_segment = shape_.rounds * shape_.lanes_per_thread;
  std::string leaf = "lane";
  if (several_lanes) leaf = "i % LANES_PER_THREAD * THREADS_PER_SEGMENT + lane";
  if (shape_.rounds > 1)
    leaf = (several_lanes ? "i / LANES_PER_THREAD % ROUNDS" : shape_.segments_per_warp > 1 ? "i % ROUNDS" : "i") +
           std::string(" * LANES + ") + leaf;
  const bool one_leaf = per_segment == 1;
  code.comment("The leaf, counted from its segment's start, that this lane holds as its leaf i.");
  code.line("__device__ __forceinline__ int leaf_in_segment(int lane, int{}) {{ return {}; }}", one_leaf ? " /* i */" : " i", leaf);
  code.blank();
  std::string segment;
  const bool shared_row = !row_warp_.empty();
  if (shape_.segments_per_warp > 1)
    segment = per_segment == 1 ? "i"
              : !several_lanes ? "i / ROUNDS"
              : shape_.rounds == 1 ? "i / LANES_PER_THREAD" : "i / (ROUNDS * LANES_PER_THREAD)";
  if (shared_row)
    segment = shape_.segments_per_warp > 1 ? row_warp_ + " * SEGMENTS_PER_WARP + " + segment : row_warp_;
  code.comment("The row's element at which that leaf begins.");
  code.open("__device__ __forceinline__ int first_element({}int lane, int i) {{", shared_row ? "int " + row_warp_ + ", " : "");
  if (segment.empty()) code.line("return leaf_in_segment(lane, i) * LEAF;");
  else {
    code.line("const int segment = {};", segment);
    code.line("return (segment * SEGMENT_LEAVES + leaf_in_segment(lane, i)) * LEAF;");
  }
  code.close();
  return code.text();
}

std::string CudaKernelWriter::parameters() const {
  CodeWriter code;
  for (const Tensor& tensor : spec_.inputs)
    code.line("const {}* {},  // {}", pointer_type(tensor.dtype), tensor.name,
              tensor.extent == Extent::row ? fmt::format("[tokens, {}] {}", spec_.n, name_of(tensor.dtype))
                                           : fmt::format("[{}] {}", spec_.n, name_of(tensor.dtype)));
  for (const Output& output : spec_.outputs)
    code.line("{}* {},  // [tokens, {}] {}", pointer_type(output.dtype), output.name, spec_.n, name_of(output.dtype));
  for (const Tensor& tensor : spec_.inputs)
    if (tensor.extent == Extent::row) code.line("long long {}_stride,  // elements from row to row", tensor.name);
  for (const Output& output : spec_.outputs) code.line("long long {}_stride,", output.name);
  code.line("long long tokens{}", schedule_.split == Split::workspace ? ", float* workspace" : "");
  return code.text();
}

void CudaKernelWriter::open_leaves(bool uses_element) {
  if (batch_ == shape_.leaves_per_thread) {
    if (batch_ > 1) code_.unrolled("i", "LEAVES_PER_THREAD");
    else code_.open("{{");
  } else {
    if (batch_ > 1) code_.unrolled("b", "BATCH");
    else code_.open("{{");
  }
  begin_leaf(uses_element);
}

/// Of the thread's leaf inside a loop over leaves.
const char* CudaKernelWriter::leaf_index() const { return shape_.leaves_per_thread == 1 ? "0" : "i"; }

void CudaKernelWriter::begin_leaf(bool uses_element) {
  const bool batches = batch_ != shape_.leaves_per_thread;
  const bool uses_index = uses_element || masked() || chains_ > 1 || schedule_.staging == Staging::shared;
  if (batches && uses_index) code_.line("const int i = batch{};", batch_ > 1 ? " + b" : "");
  const char* index = leaf_index();
  if (uses_element || row_mask_ || tail_mask_)
    code_.line("const int element = first_element({}lane, {});", row_warp_.empty() ? "" : row_warp_ + ", ", index);
  if (!masked() && !(token_mask_ && uses_element)) return;
  std::string live;
  const auto also = [&](const std::string& condition) { live += (live.empty() ? "" : " && ") + condition; };
  if (token_mask_) also("row < tokens");
  if (segment_mask_) also(fmt::format("leaf_in_segment(lane, {}) < SEGMENT_LEAVES", index));
  if (row_mask_ || tail_mask_) also("element < ROW_LENGTH");
  code_.line("const bool live = {};", live);
}

void CudaKernelWriter::write_load(const std::vector<int>& tensors) {
  if (tensors.empty()) return;
  const bool guard = masked() || token_mask_;
  if (guard) code_.open("if (live) {{");
  for (int tensor : tensors) {
    bind_input(tensor);
    const Tensor& t = spec_.inputs[static_cast<std::size_t>(tensor)];
    const bool column = t.extent == Extent::column;
    const int bytes = piece_bytes(t.dtype);
    const int count = pieces(t.dtype);
    const std::string function = helpers_.load(bytes, column ? CudaHelpers::Memory::constant : row_memory());
    const std::string from = column ? t.name : t.name + "_row";
    const std::string words = t.name + "_words" + slot();
    const int elements = bytes / static_cast<int>(size_of(t.dtype));
    if (count == 1) {
      if (bytes == 2) code_.line("{}({}, 0, {} + element);", function, words, from);
      else code_.line("{}({}, {} + element);", function, words, from);
      continue;
    }
    code_.unrolled("p", fmt::format("{}", count));
    const std::string to = bytes == 2 ? words + ", p" : bytes == 4 ? words + " + p" : fmt::format("{} + {} * p", words, bytes / 4);
    const std::string offset = elements == 1 ? "p" : fmt::format("{} * p", elements);
    if (tail_mask_) code_.line("if (element + {} < ROW_LENGTH) {}({}, {} + element + {});", offset, function, to, from, offset);
    else code_.line("{}({}, {} + element + {});", function, to, from, offset);
    code_.close();
  }
  if (guard) code_.close();
}

void CudaKernelWriter::bind_input(int tensor) {
  const Tensor& t = spec_.inputs[static_cast<std::size_t>(tensor)];
  for (std::size_t i = 0; i < spec_.nodes.size(); ++i)
    if (spec_.nodes[i].op == Op::input && spec_.nodes[i].tensor == tensor)
      expression_.bind(static_cast<int>(i), fmt::format("{}({}_words{}, e)", helpers_.widen(t.dtype), t.name, slot()));
}

/// Named values of the element loop: what `root` needs that varies along the row and has no place yet.
/// Returns what it named: the caller unbinds that where the loop ends.
std::vector<int> CudaKernelWriter::write_inner_values(int root) {
  // What a bound value was made from is not needed again.
  std::vector<bool> needed(spec_.nodes.size(), false);
  needed[static_cast<std::size_t>(root)] = true;
  for (int i = root; i >= 0; --i) {
    const Node& node = spec_.nodes[static_cast<std::size_t>(i)];
    if (!needed[static_cast<std::size_t>(i)] || (i != root && expression_.is_bound(i))) continue;
    for (int operand : {node.a, node.b, node.c})
      if (operand >= 0) needed[static_cast<std::size_t>(operand)] = true;
  }
  std::vector<int> named;
  for (std::size_t i = 0; i < spec_.nodes.size(); ++i) {
    const Node& node = spec_.nodes[i];
    const int index = static_cast<int>(i);
    if (index == root || !needed[i] || node.name.empty() || node.op == Op::input || level_[i] < Level::column) continue;
    if (expression_.is_bound(index)) continue;
    code_.line("const float {} = {};", node.name, expression_.print(index));
    expression_.bind(index, node.name);
    named.push_back(index);
  }
  return named;
}

/// values[e] = node `root` for every element of the leaf.
void CudaKernelWriter::write_values(const std::string& values, int root) {
  code_.unrolled("e", "LEAF");
  const std::vector<int> named = write_inner_values(root);
  code_.line("{}[e] = {};", values, expression_.print(root));
  code_.close();
  for (int index : named) expression_.unbind(index);
}

void CudaKernelWriter::write_pack(const std::string& words, DType dtype, const std::string& values) {
  const std::string pack = helpers_.pack(dtype);
  if (dtype == DType::f32) {
    code_.unrolled("e", "LEAF");
    code_.line("{}[e] = {}({}[e]);", words, pack, values);
    code_.close();
  } else if (fold_.leaf == 1) {
    code_.line("{}[0] = {}({}[0], 0.0f);", words, pack, values);
  } else {
    code_.unrolled("e", "LEAF", "2");
    code_.line("{}[e / 2] = {}({}[e], {}[e + 1]);", words, pack, values, values);
    code_.close();
  }
}

void CudaKernelWriter::write_staged(bool to_shared) {
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
    const std::string at = fmt::format("staged[({} * STAGED_WORDS + {}w) * BLOCK_THREADS]", leaf_index(), first ? fmt::format("{} + ", first) : "");
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

void CudaKernelWriter::bind_carried() {
  for (const Carried& carried : carried_) {
    const std::string name = name_of_node(carried.node);
    if (is_exact(carried)) expression_.bind(carried.node, fmt::format("{}{}[e]", name, slot()));
    else expression_.bind(carried.node, fmt::format("{}({}_words{}, e)", helpers_.widen(carried.dtype), name, slot()));
  }
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
      write_pack(name + "_words" + slot(), carried.dtype, name + "_exact");
    }
  }
  bind_carried();
}

/// The leaf's chain: each element joins its lane's sum, first element first.
void CudaKernelWriter::write_chain() {
  const Node& sum = spec_.nodes[static_cast<std::size_t>(sum_)];
  const Node& summand = spec_.nodes[static_cast<std::size_t>(sum.a)];
  const std::string chain = chains_ == 1 ? of_pass("lane_sum") : of_pass("lane_sums") + sum_slot();
  if (masked()) code_.open("if (live) {{");
  code_.unrolled("e", "LEAF");
  if (tail_mask_) code_.line("if (element + e >= ROW_LENGTH) continue;");
  const std::vector<int> named = write_inner_values(sum.a);
  if (summand.op == Op::mul) {
    std::string factor = expression_.print(summand.a);
    if (summand.a == summand.b && factor.find('(') != std::string::npos) {
      const Node& node = spec_.nodes[static_cast<std::size_t>(summand.a)];
      const std::string name = node.op == Op::input ? node.name + "_value" : node.name.empty() ? "factor" : node.name;
      code_.line("const float {} = {};", name, factor);
      factor = name;
    }
    code_.line("{0} = __fmaf_rn({1}, {2}, {0});", chain, factor,
               summand.a == summand.b ? factor : expression_.print(summand.b));
  } else {
    code_.line("{0} = __fadd_rn({0}, {1});", chain, expression_.print(sum.a));
  }
  code_.close();
  for (int index : named) expression_.unbind(index);
  if (masked()) code_.close();
}

void CudaKernelWriter::write_store(const Output& output, const std::string& words) {
  const int bytes = piece_bytes(output.dtype);
  const int count = pieces(output.dtype);
  const std::string function = helpers_.store(bytes, row_memory());
  const bool guard = masked() || token_mask_;
  const std::string live = guard ? "if (live) " : "";
  const int elements = bytes / static_cast<int>(size_of(output.dtype));
  if (count == 1) {
    code_.line("{}{}({}_row + element, {}{});", live, function, output.name, words, bytes == 2 ? ", 0" : "");
    return;
  }
  code_.unrolled("p", fmt::format("{}", count));
  const std::string from = bytes == 2 ? words + ", p" : bytes == 4 ? words + " + p" : fmt::format("{} + {} * p", words, bytes / 4);
  const std::string offset = elements == 1 ? "p" : fmt::format("{} * p", elements);
  const std::string inside = tail_mask_ ? fmt::format("if (live && element + {} < ROW_LENGTH) ", offset) : live;
  code_.line("{}{}({}_row + element + {}, {});", inside, function, output.name, offset, from);
  code_.close();
}

void CudaKernelWriter::write_outputs_of_leaf(bool late) {
  for (const Output& output : spec_.outputs) {
    if (before_[static_cast<std::size_t>(output.value)] == late) continue;
    const auto same = std::find_if(carried_.begin(), carried_.end(), [&](const Carried& c) {
      return c.node == output.value && c.dtype == output.dtype && c.dtype != DType::f32 &&
             spec_.nodes[static_cast<std::size_t>(c.node)].op == Op::round && expression_.is_bound(c.node);
    });
    if (same != carried_.end()) {  // already rounded and packed
      write_store(output, name_of_node(same->node) + "_words" + slot());
      continue;
    }
    std::string values = output.name + "_values";
    const auto exact = std::find_if(carried_.begin(), carried_.end(), [&](const Carried& c) {
      return c.node == output.value && is_exact(c) && expression_.is_bound(c.node);
    });
    if (exact != carried_.end()) {
      values = name_of_node(exact->node) + slot();
    } else {
      code_.line("float {}[LEAF];", values);
      write_values(values, output.value);
    }
    code_.line("unsigned {}_words[{}];", output.name, words_per_leaf(output.dtype, fold_));
    write_pack(output.name + "_words", output.dtype, values);
    write_store(output, output.name + "_words");
  }
}

}  // namespace isofold
