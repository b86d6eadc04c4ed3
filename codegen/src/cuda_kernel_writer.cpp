#include "cuda_kernel_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "register_estimate.hpp"

namespace isofold {
namespace {

/// Rows whose batches are cut to what columns and chains leave free.
constexpr std::int64_t long_row = 65536;

/// Registers of a thread that a batch of loaded leaves may fill: half of those that so many on a multiprocessor leave to a thread.
constexpr int most_batch_words = 64;
int batch_words(int threads) { return std::clamp(65536 / threads / 2 - 8, 0, most_batch_words); }

}  // namespace

CudaKernelWriter::CudaKernelWriter(const Plan& plan, CudaHelpers& helpers)
    : masks_(masked_inputs(plan.spec())),
      spec_(with_masked_inputs(plan.spec())),
      fold_(plan.fold()),
      schedule_(plan.gpu()),
      shape_(gpu_shape(plan)),
      helpers_(helpers),
      expression_(spec_.nodes, spec_.inputs, types(spec_), helpers),
      carried_(carried_values(spec_)),
      level_(levels(spec_)),
      passes_(passes_before(spec_)),
      reductions_(reductions(spec_)),
      by_pass_(isofold::passes(spec_)) {
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
  if (token_mask_) expression_.set_row_length("row < tokens ? ROW_LENGTH : 0");
  if (!reductions_.empty()) exchanged_ = shape_.warps_per_row * (schedule_.split == Split::cluster ? schedule_.blocks_per_row : 1);
  // Those of lanes and batches that end behind the last segment too: nothing that is computed may overflow.
  const std::int64_t last_segment = std::max(segment_leaves, (std::int64_t{shape_.rounds} + most_rounds_of_a_batch) * fold_.lanes);
  long_row_ = (segment_leaves * (fold_.segments - 1) + last_segment) * fold_.leaf > std::numeric_limits<std::int32_t>::max();
  batch_ = static_cast<int>(shape_.looped ? std::min(shape_.rounds, most_rounds_of_a_batch) : shape_.leaves_per_thread);
  if (schedule_.staging != Staging::registers) {
    int words = 0, room = batch_words(shape_.block_threads * schedule_.resident_blocks);
    const auto count = [&](Extent extent) {
      for (int tensor : inputs_of(std::vector<bool>(spec_.nodes.size(), true), extent))
        words += words_per_leaf(spec_.inputs[static_cast<std::size_t>(tensor)].dtype, fold_);
    };
    count(Extent::row);
    if (spec_.n > long_row || room < most_batch_words) count(Extent::column);
    if (spec_.n > long_row && schedule_.blocks_per_row == 1) room = (room - chain_registers(plan)) / 2;  // all the row's segments are one block's
    while (batch_ > 1 && (batch_ * words > room || (!shape_.looped && shape_.leaves_per_thread % batch_ != 0))) --batch_;
  }
  keep_values();
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
  return batch_ == 1 ? "" : all_at_once() ? "[i]" : "[b]";
}
std::string CudaKernelWriter::sum_slot() const {
  const int per_segment = shape_.rounds * shape_.lanes_per_thread;
  if (chains_ == 1) return "";
  if (shape_.looped) return "[s]";
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
  return batch_ == 1 ? "" : all_at_once() ? "[LEAVES_PER_THREAD]" : "[BATCH]";
}
void CudaKernelWriter::declare_words(const std::vector<int>& tensors) {
  for (int tensor : tensors) {
    const Tensor& t = spec_.inputs[static_cast<std::size_t>(tensor)];
    code_.line("unsigned {}_words{}[{}]{};", t.name, slot_count(), words_per_leaf(t.dtype, fold_),
               masked() || token_mask_ ? " = {}" : "");
  }
}

/// Of a reduction among all of the Spec.
std::ptrdiff_t CudaKernelWriter::place_of(int reduction) const {
  return std::find(reductions_.begin(), reductions_.end(), reduction) - reductions_.begin();
}

/// The reduction's own variable of that name.
std::string CudaKernelWriter::own(const std::string& name, int reduction) const {
  const auto place = place_of(reduction);
  return place == 0 ? name : fmt::format("{}_{}", name, place + 1);
}

std::string CudaKernelWriter::leaf_position() const {
  const bool stores_rows = std::any_of(spec_.outputs.begin(), spec_.outputs.end(), [&](const Output& o) { return !is_token_output(o); });
  if (spec_.n == 0 || (reductions_.empty() && !stores_rows)) return {};
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
  const char* const type = long_row_ ? "long long" : "int";
  code.open("__device__ __forceinline__ {} first_element({}int lane, int i) {{", type, shared_row ? "int " + row_warp_ + ", " : "");
  if (segment.empty()) code.line("return leaf_in_segment(lane, i) * LEAF;");
  else {
    code.line("const {} segment = {};", type, segment);
    code.line("return (segment * SEGMENT_LEAVES + leaf_in_segment(lane, i)) * LEAF;");
  }
  code.close();
  return code.text();
}

std::string CudaKernelWriter::parameters() const {
  CodeWriter code;
  const auto shape = [&](Extent extent, DType dtype, int groups) {
    if (extent == Extent::scalar) return fmt::format("one {}", name_of(dtype));
    if (extent == Extent::token) return fmt::format("[tokens] {}", name_of(dtype));
    const std::string group = groups > 1 ? fmt::format("{}, ", groups) : "";
    const std::string tokens = extent == Extent::column ? "" : groups > 1 ? fmt::format("tokens / {}, ", groups) : "tokens, ";
    return fmt::format("[{}{}{}] {}", tokens, group, spec_.n, name_of(dtype));
  };
  const auto distance = [](Extent extent, int groups) {
    return extent == Extent::token ? "from number to number" : groups > 1 ? "elements from group to group" : "elements from row to row";
  };
  for (const Tensor& tensor : spec_.inputs)
    code.line("const {}* {},  // {}", CudaHelpers::storage_type(tensor.dtype), tensor.name,
              shape(tensor.extent, tensor.dtype, tensor.groups));
  for (const Output& output : spec_.outputs)
    code.line("{}* {},  // {}", CudaHelpers::storage_type(output.dtype), output.name,
               shape(output.extent, output.dtype, output.groups));
  for (const Tensor& tensor : spec_.inputs)
    if (has_stride(tensor.extent)) code.line("long long {}_stride,  // {}", tensor.name, distance(tensor.extent, tensor.groups));
  for (const Output& output : spec_.outputs)
    code.line("long long {}_stride,  // {}", output.name, distance(output.extent, output.groups));
  code.line("long long tokens{}", schedule_.split == Split::workspace ? fmt::format(", {}* workspace", helpers_.real()) : "");
  return code.text();
}

void CudaKernelWriter::open_leaves(bool accesses_memory, bool masks_leaf) {
  if (all_at_once()) {
    if (batch_ > 1) code_.unrolled("i", "LEAVES_PER_THREAD");
    else code_.open("{{");
  } else {
    if (batch_ > 1) code_.unrolled("b", "BATCH");
    else code_.open("{{");
  }
  begin_leaf(accesses_memory, masks_leaf);
}

/// Of the thread's leaf inside a loop over leaves.
const char* CudaKernelWriter::leaf_index() const { return shape_.leaves_per_thread == 1 ? "0" : "i"; }

void CudaKernelWriter::begin_leaf(bool accesses_memory, bool masks_leaf) {
  const bool uses_element = accesses_memory || masks_leaf;
  const bool has_chains = chains_ > 1 && pass_ < by_pass_.size() &&
                          std::any_of(by_pass_[pass_].begin(), by_pass_[pass_].end(), [&](int reduction) { return has_order(reduction); });
  const bool uses_index = uses_element || masked() || has_chains || schedule_.staging == Staging::shared;
  if (!all_at_once() && uses_index) code_.line("const int i = batch{};", batch_ > 1 ? " + b" : "");
  const char* index = leaf_index();
  const bool has_element = uses_element || row_mask_ || tail_mask_;
  const std::string leaf = all_at_once() || uses_index ? index : batch_ > 1 ? "batch + b" : "batch";
  const std::string first = has_element ? "element" : fmt::format("first_element({}lane, {})", row_warp_.empty() ? "" : row_warp_ + ", ", leaf);
  for (std::size_t i = 0; i < spec_.nodes.size(); ++i)
    if (spec_.nodes[i].op == Op::index)
      expression_.bind(static_cast<int>(i), fmt::format("{}({} + e)", long_row_ ? "(int)" : "", first));
  if (has_element)
    code_.line("const {} element = first_element({}lane, {});", long_row_ ? "long long" : "int", row_warp_.empty() ? "" : row_warp_ + ", ", index);
  if (!masked() && !(token_mask_ && accesses_memory)) return;
  std::string live;
  const auto also = [&](const std::string& condition) { live += (live.empty() ? "" : " && ") + condition; };
  if (token_mask_) also("row < tokens");
  if (shape_.looped && shape_.rounds % batch_ != 0)
    also(shape_.segments_per_warp > 1 ? "i < (s + 1) * ROUNDS" : "i < ROUNDS");  // a later segment's otherwise
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
    const std::string from = column && t.groups == 1 ? t.name : t.name + "_row";
    const std::string words = t.name + "_words" + slot();
    const int elements = bytes / static_cast<int>(size_of(t.dtype));
    if (count == 1) {
      if (bytes <= 2) code_.line("{}({}, 0, {} + element);", function, words, from);
      else code_.line("{}({}, {} + element);", function, words, from);
      continue;
    }
    code_.unrolled("p", fmt::format("{}", count));
    const std::string to = bytes <= 2 ? words + ", p" : bytes == 4 ? words + " + p" : fmt::format("{} + {} * p", words, bytes / 4);
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

/// Named values of the element loop: what `roots` need that varies along the row and has no place yet; a single root
/// itself is not named.
/// Returns what it named: the caller unbinds that where the loop ends.
std::vector<int> CudaKernelWriter::write_inner_values(const std::vector<int>& roots) {
  // What a bound value was made from is not needed again.
  const auto is_root = [&](int i) { return std::find(roots.begin(), roots.end(), i) != roots.end(); };
  std::vector<bool> needed(spec_.nodes.size(), false);
  for (int root : roots) needed[static_cast<std::size_t>(root)] = true;
  for (int i = static_cast<int>(spec_.nodes.size()) - 1; i >= 0; --i) {
    const Node& node = spec_.nodes[static_cast<std::size_t>(i)];
    if (!needed[static_cast<std::size_t>(i)] || expression_.is_bound(i)) continue;
    for (int operand : {node.a, node.b, node.c})
      if (operand >= 0) needed[static_cast<std::size_t>(operand)] = true;
  }
  std::vector<int> named;
  for (std::size_t i = 0; i < spec_.nodes.size(); ++i) {
    const Node& node = spec_.nodes[i];
    const int index = static_cast<int>(i);
    if ((is_root(index) && roots.size() == 1) || !needed[i] || node.name.empty() || node.op == Op::input) continue;
    if (level_[i] < Level::column || expression_.is_bound(index)) continue;
    code_.line("const {} {} = {};", expression_.type(index), node.name, expression_.print(index));
    expression_.bind(index, node.name);
    named.push_back(index);
  }
  return named;
}

/// values[e] = node `root` for every element of the leaf.
void CudaKernelWriter::write_values(const std::string& values, int root) {
  code_.unrolled("e", "LEAF");
  const std::vector<int> named = write_inner_values({root});
  code_.line("{}[e] = {};", values, expression_.print(root));
  code_.close();
  for (int index : named) expression_.unbind(index);
}

/// Is a NaN of this node the one that is stored? Additions and multiplications on a GPU give no other (the probe looks), as long as
/// no compiler makes them vanish because an operand is known to be 1 or 0. Of kernels with several outputs along the row nothing is
/// said: there the choices that follow cost ptxas fewer registers (add_rms_norm of 777 elements spilled on sm_80 without them).
bool CudaKernelWriter::gives_one_nan(int index) const {
  if (std::count_if(spec_.outputs.begin(), spec_.outputs.end(), [this](const Output& o) { return !is_token_output(o); }) > 1) return false;
  const Node& node = spec_.nodes[static_cast<std::size_t>(index)];
  if (node.op != Op::add && node.op != Op::sub && node.op != Op::mul && node.op != Op::fma) return false;
  const auto varies = [&](int operand) { return operand < 0 || level_[static_cast<std::size_t>(operand)] > Level::constant; };
  return varies(node.a) && varies(node.b) && varies(node.c);
}

void CudaKernelWriter::write_pack(const std::string& words, DType dtype, const std::string& values, int node) {
  if (dtype == DType::f32) {
    const bool one_nan = gives_one_nan(node);
    if (one_nan) code_.comment("Arithmetic gives one NaN, 0x7fffffff.");
    code_.unrolled("e", "LEAF");
    code_.line("{}[e] = {}({}[e]);", words, one_nan ? "__float_as_uint" : helpers_.pack(dtype), values);
    code_.close();
    return;
  }
  const std::string pack = helpers_.pack(dtype);
  if (size_of(dtype) == 1) {
    code_.unrolled("e", "LEAF", "4");
    const auto value = [&](int e) { return e < fold_.leaf ? fmt::format("{}[e + {}]", values, e) : std::string("0.0f"); };
    code_.line("{}[e / 4] = {}({}[e], {}, {}, {});", words, pack, values, value(1), value(2), value(3));
    code_.close();
  } else if (fold_.leaf == 1) {
    code_.line("{}[0] = {}({}[0], 0.0f);", words, pack, values);
  } else {
    code_.unrolled("e", "LEAF", "2");
    code_.line("{}[e / 2] = {}({}[e], {}[e + 1]);", words, pack, values, values);
    code_.close();
  }
}

/// Every element of the leaf joins the chains of the pass's reductions, first element first.
void CudaKernelWriter::write_chains() {
  if (masked()) code_.open("if (live) {{");
  std::vector<int> one_by_one;
  for (const int reduction : pass_reductions()) {
    if (!takes_pairs(reduction)) one_by_one.push_back(reduction);
    else write_pairs(reduction);
  }
  if (!one_by_one.empty()) write_elements_of_chains(one_by_one);
  if (masked()) code_.close();
}

/// Both elements of every word of the leaf join an extreme.
void CudaKernelWriter::write_pairs(int reduction) {
  const std::string words = own("lane_words", reduction);
  code_.unrolled("w", "LEAF / 2");
  code_.line("{0}[0] = {1}({0}[0], {2}_words{3}[w]);", words,
             helpers_.extreme_of_pairs(reduction_op(reduction), dtype_of_operand(reduction)), operand_of(reduction).name, slot());
  code_.close();
}

void CudaKernelWriter::write_elements_of_chains(const std::vector<int>& chained) {
  std::vector<int> taken;
  for (const int reduction : chained) {
    const auto more = taken_by(spec_, reduction);
    taken.insert(taken.end(), more.begin(), more.end());
  }
  code_.unrolled("e", "LEAF");
  if (tail_mask_) code_.line("if (element + e >= ROW_LENGTH) continue;");
  const std::vector<int> named = write_inner_values(taken);
  std::vector<std::pair<int, std::string>> rebound;
  for (const int reduction : chained) write_chain(reduction, rebound);
  for (auto& [index, expression] : rebound) expression_.bind(index, std::move(expression));
  code_.close();
  for (int index : named) expression_.unbind(index);
}

/// `rebound`: values that get a name here, with what they were bound to.
void CudaKernelWriter::write_chain(int reduction, std::vector<std::pair<int, std::string>>& rebound) {
  const Node& node = spec_.nodes[static_cast<std::size_t>(reduction)];
  const Node& operand = spec_.nodes[static_cast<std::size_t>(node.a)];
  const std::string chain = chains_ == 1 || !has_order(reduction) ? own("lane_sum", reduction) : own("lane_sums", reduction) + sum_slot();
  if (node.op != Op::sum || operand.op != Op::mul) {
    code_.line("{} = {};", chain, combined(reduction, chain, expression_.print(node.a)));
    return;
  }
  std::string factor = expression_.print(operand.a);
  if (operand.a == operand.b && factor.find('(') != std::string::npos) {
    const Node& value = spec_.nodes[static_cast<std::size_t>(operand.a)];
    const std::string name = value.op == Op::input ? value.name + "_value" : value.name.empty() ? own("factor", reduction) : value.name;
    code_.line("const {} {} = {};", helpers_.real(), name, factor);
    if (expression_.is_bound(operand.a)) {
      rebound.emplace_back(operand.a, factor);
      expression_.bind(operand.a, name);
    }
    factor = name;
  }
  code_.line("{0} = {3}({1}, {2}, {0});", chain, factor,
             operand.a == operand.b ? factor : expression_.print(operand.b), helpers_.is_wide() ? "__fma_rn" : "__fmaf_rn");
}

void CudaKernelWriter::write_store(const Output& output, const std::string& words) {
  const int bytes = piece_bytes(output.dtype);
  const int count = pieces(output.dtype);
  const std::string function = helpers_.store(bytes, row_memory());
  const bool guard = masked() || token_mask_;
  const std::string live = guard ? "if (live) " : "";
  const int elements = bytes / static_cast<int>(size_of(output.dtype));
  if (count == 1) {
    code_.line("{}{}({}_row + element, {}{});", live, function, output.name, words, bytes <= 2 ? ", 0" : "");
    return;
  }
  code_.unrolled("p", fmt::format("{}", count));
  const std::string from = bytes <= 2 ? words + ", p" : bytes == 4 ? words + " + p" : fmt::format("{} + {} * p", words, bytes / 4);
  const std::string offset = elements == 1 ? "p" : fmt::format("{} * p", elements);
  const std::string inside = tail_mask_ ? fmt::format("if (live && element + {} < ROW_LENGTH) ", offset) : live;
  code_.line("{}{}({}_row + element + {}, {});", inside, function, output.name, offset, from);
  code_.close();
}

void CudaKernelWriter::write_outputs_of_leaf(bool late) {
  for (const Output& output : spec_.outputs) {
    if (is_token_output(output) || before_[static_cast<std::size_t>(output.value)] == late) continue;
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
    write_pack(output.name + "_words", output.dtype, values, output.value);
    write_store(output, output.name + "_words");
  }
}

}  // namespace isofold
