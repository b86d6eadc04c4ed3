#include <isofold/codegen/cuda_emitter.hpp>

#include <fmt/format.h>

#include <array>
#include <set>
#include <string_view>

namespace isofold {
namespace {

/// Instructions that compute with floating-point numbers and whose result has one right answer. An addition without a rounding
/// modifier may be contracted by ptxas; min and max without NaN are what the compiler makes of a comparison and a choice, which
/// -0 and NaN tell apart.
std::set<std::string, std::less<>> exact_opcodes() {
  std::set<std::string, std::less<>> out = {
      "cvt.rn.bf16.f32",  "cvt.rn.bf16x2.f32", "cvt.rn.f16.f32", "cvt.rn.f16x2.f32", "cvt.f32.bf16", "cvt.f32.f16",
      "max.NaN.bf16x2",   "max.NaN.f16x2",     "max.NaN.f32",    "min.NaN.bf16x2",   "min.NaN.f16x2", "min.NaN.f32",
      "cvt.rni.sat.s8.f32", "cvt.rn.satfinite.e4m3x2.f32"};
  for (const char* integer : {"s8", "s16", "s32", "u8", "u16", "u32"}) out.insert(fmt::format("cvt.rn.f32.{}", integer));
  for (const char* type : {"f32", "f64"}) {
    for (const char* operation : {"add", "sub", "mul", "fma", "div", "sqrt", "rcp"}) out.insert(fmt::format("{}.rn.{}", operation, type));
    for (const char* operation : {"neg", "abs", "selp"}) out.insert(fmt::format("{}.{}", operation, type));
  }
  return out;
}

bool is_exact(std::string_view opcode) {
  for (const std::string_view moves : {"mov.", "ld.", "st.", "shfl."}) {
    if (opcode.starts_with(moves)) return true;
  }
  static const auto exact = exact_opcodes();
  if (exact.contains(opcode)) return true;
  // A comparison: setp.<relation>.<type>.
  const std::size_t relation = opcode.find('.'), type = opcode.rfind('.');
  return opcode.starts_with("setp.") && relation != type && opcode.find('.', relation + 1) == type &&
         (opcode.ends_with(".f32") || opcode.ends_with(".f64"));
}

/// Whether a modifier of the opcode names a floating-point type or a way to compute that is not exact.
bool is_floating(std::string_view opcode) {
  static constexpr std::array types = {"f16", "bf16", "f32", "f64", "tf32", "e4m3", "e5m2"};
  static constexpr std::array inexact = {"approx", "ftz", "sat", "full"};
  for (std::size_t point = opcode.find('.'); point != opcode.npos; point = opcode.find('.', point + 1)) {
    std::string_view modifier = opcode.substr(point + 1);
    modifier = modifier.substr(0, modifier.find('.'));
    for (const std::string_view name : inexact) {
      if (modifier.starts_with(name)) return true;
    }
    if (modifier.ends_with("x2") || modifier.ends_with("x4")) modifier.remove_suffix(2);
    for (const std::string_view name : types) {
      if (modifier == name) return true;
    }
  }
  return false;
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Removes the longest prefix whose characters all pass, and returns it.
std::string_view skip(std::string_view& text, bool (*passes)(char)) {
  std::size_t count = 0;
  while (count < text.size() && passes(text[count])) ++count;
  const std::string_view skipped = text.substr(0, count);
  text.remove_prefix(count);
  return skipped;
}

/// The opcode that begins a statement, behind braces, labels and a predicate; empty where a directive does.
std::string_view opcode_of(std::string_view statement) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '{' || c == '}'; };
  const auto is_name = [](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '%' || c == '$' || c == '!'; };
  const auto is_opcode = [](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == ':'; };
  for (;;) {
    skip(statement, is_blank);
    std::string_view rest = statement;
    if (rest.starts_with('@')) {
      rest.remove_prefix(1);
      skip(rest, is_name);
    } else {
      skip(rest, is_name);
      if (!rest.starts_with(':') || rest.starts_with("::")) break;
      rest.remove_prefix(1);
    }
    statement = rest;
  }
  if (statement.empty() || !is_letter(statement.front())) return {};
  return skip(statement, is_opcode);
}

}  // namespace

std::vector<std::string> lint_ptx(const std::string& ptx) {
  std::vector<std::string> out;
  int number = 0;
  for (std::size_t begin = 0; begin < ptx.size();) {
    ++number;
    const std::size_t end = std::min(ptx.find('\n', begin), ptx.size());
    const std::string_view line = std::string_view(ptx).substr(begin, end - begin);
    std::string_view code = line.substr(0, line.find("//"));
    begin = end + 1;
    while (!code.empty()) {
      const std::size_t statement = std::min(code.find(';'), code.size());
      const std::string_view opcode = opcode_of(code.substr(0, statement));
      if (is_floating(opcode) && !is_exact(opcode)) out.push_back(fmt::format("line {}: {}", number, line));
      code.remove_prefix(std::min(statement + 1, code.size()));
    }
  }
  return out;
}

}  // namespace isofold
