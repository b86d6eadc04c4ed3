#include "cuda_helpers.hpp"

#include <isofold/codegen/functions.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cuda_expression.hpp"

namespace isofold {
namespace {

// Every template of a helper, in the order in which generated text holds them: a helper comes after those that it calls.
constexpr std::array<std::string_view, 48> order{
    "wait_for_previous_kernel", "let_next_kernel_start", "load_1", "load_2", "load_4", "load_8", "load_16",
    "store_1", "store_2", "store_4", "store_8", "store_16", "widen_bf16", "widen_f16", "widen_f32", "widen_f64", "widen_e4m3", "widen_i8", "element",
    "pack_bf16", "pack_f16", "pack_f32", "pack_f64", "pack_e4m3", "pack_e4m3_by_steps", "pack_i8", "round_bf16", "round_f16",
    "bits_of", "choose", "mask_16", "mask_32", "put_4", "take_4", "max_or_nan", "min_or_nan", "extreme_or_nan_f64", "extreme_or_nan_pair", "warp_max", "warp_min", "halve", "halve_two",
    "adjacent_pairs", "cluster_arrive", "cluster_wait", "cluster_sync", "store_in_block", "store_in_block_f64"};

/// First architecture that converts to 8-bit floats.
constexpr int first_arch_with_e4m3 = 89;

}  // namespace

std::span<const std::string_view> CudaHelpers::names() { return order; }

std::string CudaHelpers::add(Used used) {
  if (std::find(used_.begin(), used_.end(), used) == used_.end()) used_.push_back(used);
  return used.name;
}

std::string CudaHelpers::load(int bytes, Memory memory) {
  const std::string file = fmt::format("load_{}", bytes);
  const auto with = [&](const char* suffix, const char* qualifier) {
    return add({file + suffix, file, {{"suffix", suffix}, {"qualifier", qualifier}}});
  };
  if (memory == Memory::constant) return with("_constant", ".nc");
  return memory == Memory::streaming ? with("_streaming", ".L1::no_allocate") : with("", "");
}

std::string CudaHelpers::store(int bytes, Memory memory) {
  const std::string file = fmt::format("store_{}", bytes);
  const bool streaming = memory == Memory::streaming;
  const std::string suffix = streaming ? "_streaming" : "";
  return add({file + suffix, file, {{"suffix", suffix}, {"qualifier", streaming ? ".cs" : ""}}});
}

const char* CudaHelpers::storage_type(DType dtype) {
  if (dtype == DType::i32) return "int";
  if (dtype == DType::f64) return "double";
  return dtype == DType::f32 ? "float" : size_of(dtype) == 2 ? "unsigned short" : "unsigned char";
}

std::string CudaHelpers::widen(DType dtype) { return use(fmt::format("widen_{}", name_of(dtype))); }

std::string CudaHelpers::pack(DType dtype) {
  if (dtype == DType::e4m3 && arch_ < first_arch_with_e4m3) return add({"pack_e4m3", "pack_e4m3_by_steps", {}});
  return use(fmt::format("pack_{}", name_of(dtype)));
}

std::string CudaHelpers::round(DType dtype) {
  pack(dtype);
  widen(dtype);
  return use(fmt::format("round_{}", name_of(dtype)));
}

std::string CudaHelpers::combine(Op reduction) {
  if (reduction == Op::sum) return wide_ ? "__dadd_rn" : "__fadd_rn";
  return extreme(reduction == Op::reduce_max ? "max_or_nan" : "min_or_nan");
}

std::string CudaHelpers::tree(std::string_view name, Op reduction) {
  const std::string suffix = reduction == Op::sum ? "" : reduction == Op::reduce_max ? "_max" : "_min";
  Used used{std::string(name) + suffix, std::string(name), {{"suffix", suffix}, {"combine", combine(reduction)}, {"real", real()}}};
  if (name != "adjacent_pairs")
    used.markers.emplace_back("result", reduction == Op::sum ? "sum" : reduction == Op::reduce_max ? "maximum" : "minimum");
  return add(std::move(used));
}

std::string CudaHelpers::choose() {
  return add({"choose", "choose", {{"real", real()}, {"bits", wide_ ? "64" : "32"}, {"register", wide_ ? "d" : "f"}}});
}

std::string CudaHelpers::extreme(std::string_view name) {
  if (!wide_) return use(name);
  const bool larger = name == "max_or_nan";
  choose();
  return add({std::string(name), "extreme_or_nan_f64",
              {{"name", std::string(name)}, {"which", larger ? "larger" : "smaller"}, {"order", larger ? ">" : "<"}, {"joined", larger ? "&" : "|"}}});
}

std::string CudaHelpers::extreme_of_pairs(Op reduction, DType dtype) {
  const bool larger = reduction == Op::reduce_max;
  const char* const operation = larger ? "max" : "min";
  const std::string name = fmt::format("{}_or_nan_pair_{}", operation, name_of(dtype));
  return add({name, "extreme_or_nan_pair", {{"name", name}, {"which", larger ? "larger" : "smaller"}, {"operation", operation},
                                            {"dtype", std::string(name_of(dtype))}}});
}

std::string CudaHelpers::store_in_block() { return wide_ ? add({"store_in_block", "store_in_block_f64", {}}) : use("store_in_block"); }

std::string CudaHelpers::element(DType dtype) {
  const auto bytes = static_cast<int>(size_of(dtype));
  widen(dtype);
  return add({fmt::format("element_{}", name_of(dtype)), "element",
              {{"dtype", std::string(name_of(dtype))}, {"pointer", storage_type(dtype)}, {"load", load(bytes, Memory::cached)},
               {"piece", bytes < 4 ? "0, " : ""}}});
}

std::string CudaHelpers::use(std::string_view name) { return add({std::string(name), std::string(name), {}}); }

std::string CudaHelpers::function(int index) {
  const Function& function = functions()[static_cast<std::size_t>(index)];
  if (!functions_.contains(index)) functions_[index] = cuda_function(function, *this);
  return "exact_" + function.name;
}

std::vector<std::pair<std::string, std::string>> CudaHelpers::texts() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string_view file : order) {
    std::vector<Used> of_file;
    std::copy_if(used_.begin(), used_.end(), std::back_inserter(of_file), [&](const Used& u) { return u.file == file; });
    std::sort(of_file.begin(), of_file.end(), [](const Used& a, const Used& b) { return a.name < b.name; });
    for (const Used& used : of_file) out.emplace_back(used.name, fill_template(file, {used.markers.begin(), used.markers.end()}));
  }
  for (const auto& [index, text] : functions_)
    out.emplace_back("exact_" + functions()[static_cast<std::size_t>(index)].name, text);
  return out;
}

}  // namespace isofold
