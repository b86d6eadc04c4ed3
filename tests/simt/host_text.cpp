#include "simt/host_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <regex>
#include <stdexcept>

namespace isofold::simt {
namespace {

/// Functions of host_helpers.hpp. Generated names may go on with a suffix, such as load_16_streaming.
constexpr std::array<std::string_view, 28> host_helpers{"choose", "load_1", "store_1", "pack_e4m3", "pack_i8",
                                                        "max_or_nan_pair_bf16",
                                                        "max_or_nan_pair_f16",
                                                        "min_or_nan_pair_bf16",
                                                        "min_or_nan_pair_f16",
                                                        "max_or_nan",
                                                        "min_or_nan",
                                                        "load_16",
                                                        "load_8",
                                                        "load_4",
                                                        "load_2",
                                                        "store_16",
                                                        "store_8",
                                                        "store_4",
                                                        "store_2",
                                                        "pack_bf16",
                                                        "pack_f16",
                                                        "widen_f16",
                                                        "cluster_arrive",
                                                        "cluster_wait",
                                                        "cluster_sync",
                                                        "store_in_block",
                                                        "wait_for_previous_kernel",
                                                        "let_next_kernel_start"};

std::string_view host_form(std::string_view name) {
  for (const std::string_view known : host_helpers)
    if (name.starts_with(known) && (name.size() == known.size() || name[known.size()] == '_')) return known;
  throw std::runtime_error(fmt::format("helper {} holds PTX and has no host form in host_helpers.hpp", name));
}

/// Comments as spaces, so that what is looked for is code.
std::string without_comments(std::string text) {
  for (std::size_t at = text.find("//"); at != std::string::npos; at = text.find("//", at))
    while (at < text.size() && text[at] != '\n') text[at++] = ' ';
  for (std::size_t at = text.find("/*"); at != std::string::npos; at = text.find("/*", at)) {
    const std::size_t end = std::min(text.find("*/", at), text.size() - 2) + 2;
    for (; at < end; ++at)
      if (text[at] != '\n') text[at] = ' ';
  }
  return text;
}

/// Place behind the bracket that closes the one at `open`.
std::size_t behind_closing(const std::string& text, std::size_t open) {
  int depth = 0;
  for (std::size_t at = open; at < text.size(); ++at) {
    depth += text[at] == '{' || text[at] == '(';
    depth -= text[at] == '}' || text[at] == ')';
    if (depth == 0) return at + 1;
  }
  throw std::runtime_error("unbalanced brackets in generated text");
}

std::size_t find_word(const std::string& text, const std::string& word, std::size_t from) {
  for (std::size_t at = text.find(word, from); at != std::string::npos; at = text.find(word, at + 1)) {
    const auto is_word = [&](std::size_t i) {
      return i < text.size() && (std::isalnum(static_cast<unsigned char>(text[i])) || text[i] == '_');
    };
    if (!is_word(at - 1) && !is_word(at + word.size())) return at;
  }
  return std::string::npos;
}

/// Replaces the body of the function that holds the PTX at `place` by a call of its host form.
void replace_helper(std::string& text, std::size_t place) {
  const std::size_t start = text.rfind("__device__", place);
  if (start == std::string::npos) throw std::runtime_error("PTX outside a helper function");
  static const std::regex signature(R"(__device__ __forceinline__ [A-Za-z_]+ ([a-z0-9_]+)\()");
  std::smatch match;
  if (!std::regex_search(text.cbegin() + static_cast<std::ptrdiff_t>(start), text.cend(), match, signature,
                         std::regex_constants::match_continuous))
    throw std::runtime_error("a helper with PTX whose signature is not understood: " +
                             text.substr(start, 80));
  const std::size_t parameters = start + static_cast<std::size_t>(match.length()) - 1;
  const std::size_t parameters_end = behind_closing(text, parameters);
  const std::size_t body = text.find('{', parameters_end);
  const std::size_t body_end = behind_closing(text, body);
  if (place > body_end) throw std::runtime_error("PTX outside a helper function");

  static const std::regex parameter(R"(([A-Za-z_][A-Za-z0-9_]*)\s*[,)])");
  std::string arguments;
  const std::string list = text.substr(parameters + 1, parameters_end - parameters - 1);
  for (std::sregex_iterator at(list.begin(), list.end(), parameter), end; at != end; ++at)
    arguments += (arguments.empty() ? "" : ", ") + (*at)[1].str();
  const std::string old_body = text.substr(body, body_end - body);
  const auto lines = static_cast<std::size_t>(std::count(old_body.begin(), old_body.end(), '\n'));
  text.replace(body, body_end - body,
               fmt::format("{{ return simt_host::{}({}); }}{}", host_form(match[1].str()), arguments,
                           std::string(lines, '\n')));
}

}  // namespace

std::string host_text(std::string_view cuda) {
  std::string text = without_comments(std::string(cuda));
  for (std::size_t at = find_word(text, "asm", 0); at != std::string::npos; at = find_word(text, "asm", 0))
    replace_helper(text, at);

  // Dynamic shared memory, then arrays: `__shared__ float warp_sums[2][WARPS];` becomes a reference to the
  // block's array.
  static const std::regex dynamic_array(
      R"(extern __shared__ (?:__align__\(\d+\) |alignas\(\d+\) )?(\w+) (\w+)\[\];)");
  text = std::regex_replace(text, dynamic_array,
                            "$1* const $2 = static_cast<$1*>(simt_hooks->dynamic_shared());");
  static const std::regex array(
      R"(__shared__ (?:__align__\(\d+\) |alignas\(\d+\) )?(\w+) (\w+)((?:\[[^\]]+\])+);)");
  std::smatch match;
  for (int index = 0; std::regex_search(text, match, array); ++index) {
    const std::string type = match[1].str() + match[3].str();
    text.replace(static_cast<std::size_t>(match.position()), static_cast<std::size_t>(match.length()),
                 fmt::format("using {0}_type = {1}; {0}_type& {0} = "
                             "*static_cast<{0}_type*>(simt_hooks->shared({2}, sizeof({0}_type), 16));",
                             match[2].str(), type, index));
  }
  // `using x_type = float[4]` is how C++ spells the array's type.
  if (text.find("__shared__") != std::string::npos)
    throw std::runtime_error("a __shared__ declaration that is not understood: " +
                             text.substr(text.find("__shared__"), 80));
  static const std::regex entry(R"(extern "C" __global__ void (?:__launch_bounds__\(([^)]*)\) )?)");
  return std::regex_replace(text, entry, "static_assert(simt_host::launch_bounds($1)); __global__ void ");
}

std::string host_program(std::string_view cuda) {
  static const std::regex ignored(
      R"(constexpr int RESIDENT_BLOCKS = [0-9]+;)"
      R"(|__device__ __forceinline__ void (?:wait_for_previous_kernel|let_next_kernel_start)\(\) \{[^}]*\})"
      R"(|(?:wait_for_previous_kernel|let_next_kernel_start)\(\);)");
  std::string program;
  for (const std::string text = std::regex_replace(host_text(cuda), ignored, " "); const char c : text) {
    if (c != ' ' && c != '\n') program += c;
    else if (!program.empty() && program.back() != ' ') program += ' ';
  }
  return program;
}

}  // namespace isofold::simt
