#include "cuda_helpers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "template_text.hpp"

namespace isofold {
namespace {

// Every helper, in the order in which generated text holds them: a helper comes after those that it calls.
constexpr std::array<std::string_view, 25> order{
    "wait_for_previous_kernel", "let_next_kernel_start", "load_2",  "load_4",     "load_8",    "load_16",
    "store_2",   "store_4",   "store_8",        "store_16",       "widen_bf16",   "widen_f16", "widen_f32",
    "pack_bf16", "pack_f16",  "pack_f32",       "round_bf16",     "round_f16",    "halve",     "halve_two",
    "adjacent_pairs", "cluster_arrive", "cluster_wait", "cluster_sync", "store_in_block"};

bool has_memory_markers(std::string_view file) {
  return file.starts_with("load_") || (file.starts_with("store_") && file != "store_in_block");
}

}  // namespace

std::span<const std::string_view> CudaHelpers::names() { return order; }

std::string CudaHelpers::add(Used used) {
  if (std::find(used_.begin(), used_.end(), used) == used_.end()) used_.push_back(used);
  return used.name;
}

std::string CudaHelpers::load(int bytes, Memory memory) {
  const std::string file = fmt::format("load_{}", bytes);
  if (memory == Memory::constant) return add({file + "_constant", file, "_constant", ".nc"});
  if (memory == Memory::streaming) return add({file + "_streaming", file, "_streaming", ".L1::no_allocate"});
  return add({file, file, "", ""});
}

std::string CudaHelpers::store(int bytes, Memory memory) {
  const std::string file = fmt::format("store_{}", bytes);
  if (memory == Memory::streaming) return add({file + "_streaming", file, "_streaming", ".cs"});
  return add({file, file, "", ""});
}

std::string CudaHelpers::widen(DType dtype) { return use(fmt::format("widen_{}", name_of(dtype))); }
std::string CudaHelpers::pack(DType dtype) { return use(fmt::format("pack_{}", name_of(dtype))); }

std::string CudaHelpers::round(DType dtype) {
  pack(dtype);
  widen(dtype);
  return use(fmt::format("round_{}", name_of(dtype)));
}

std::string CudaHelpers::use(std::string_view name) { return add({std::string(name), std::string(name), "", ""}); }

std::vector<std::pair<std::string, std::string>> CudaHelpers::texts() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string_view file : order) {
    std::vector<Used> of_file;
    std::copy_if(used_.begin(), used_.end(), std::back_inserter(of_file), [&](const Used& u) { return u.file == file; });
    std::sort(of_file.begin(), of_file.end(), [](const Used& a, const Used& b) { return a.name < b.name; });
    for (const Used& used : of_file) {
      Markers markers;
      if (has_memory_markers(file)) markers = {{"suffix", used.suffix}, {"qualifier", used.qualifier}};
      out.emplace_back(used.name, fill_template(file, markers));
    }
  }
  return out;
}

}  // namespace isofold
