#include "reserved_names.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "cuda_helpers.hpp"

namespace isofold {
namespace {

// Each list is written as one text of words with a space on both sides of each.
constexpr std::string_view cpp_words =
    " alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class compl"
    " concept const consteval constexpr constinit const_cast continue co_await co_return co_yield decltype default delete"
    " do double dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable"
    " namespace new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast"
    " requires return short signed sizeof static static_assert static_cast struct switch template this thread_local throw"
    " true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq final override"
    " import module std linux unix ";
constexpr std::string_view vector_types =
    " char uchar short ushort int uint long ulong float double longlong ulonglong dim ";
/// Variables of generated kernels and functions beside the helpers; a test finds what is missing here.
constexpr std::string_view generated =
    " b batch block block_sums column distance e e4m3_of element factor first_element i k lane lane_sum lane_sums leaf_in_segment"
    " fabs fabsf live n p pairs row row_in_block row_warp s segment staged staged_rows tokens w warp warp_sums workspace ";
/// Names that are made from a value's name, a number or a size.
constexpr std::array<std::string_view, 6> generated_endings{"_words", "_values", "_value", "_exact", "_row", "_stride"};
constexpr std::array<std::string_view, 14> generated_beginnings{"exact_", "element_", "factor_", "halve_", "adjacent_pairs_", "lane_sum_", "lane_sums_", "warp_sums_", "pairs_", "value_", "load_", "store_", "isofold_", "cuda"};

bool has_word(std::string_view list, std::string_view word) {
  for (std::size_t at = list.find(word); at != std::string_view::npos; at = list.find(word, at + 1))
    if (list[at - 1] == ' ' && list[at + word.size()] == ' ') return true;
  return false;
}

}  // namespace

bool is_reserved_name(std::string_view name) {
  if (name.empty()) return true;
  if (has_word(cpp_words, name) || has_word(generated, name)) return true;
  for (const std::string_view ending : generated_endings)
    if (name.ends_with(ending)) return true;
  for (const std::string_view beginning : generated_beginnings)
    if (name.starts_with(beginning)) return true;
  const std::span<const std::string_view> helpers = CudaHelpers::names();
  if (std::find(helpers.begin(), helpers.end(), name) != helpers.end()) return true;
  const bool numbered = name.back() >= '1' && name.back() <= '4';
  return numbered && has_word(vector_types, name.substr(0, name.size() - 1));
}

}  // namespace isofold
