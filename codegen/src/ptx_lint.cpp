#include <isofold/codegen/cuda_emitter.hpp>

#include <fmt/format.h>

#include <regex>

namespace isofold {
namespace {

/// An instruction that computes with floating-point numbers and is one of those whose result has one right answer, or
/// that only moves or compares them. An addition without a rounding modifier may be contracted by ptxas; min and max without
/// NaN are what the compiler makes of a comparison and a choice, which -0 and NaN tell apart.
bool is_exact(const std::string& opcode) {
  static const std::regex exact(
      R"((add|sub|mul|fma|div|sqrt|rcp)\.rn\.f(32|64)|cvt\.rn\.(bf16|f16)(x2)?\.f32|cvt\.f32\.(bf16|f16)|(neg|abs|selp)\.f(32|64))"
      R"(|cvt\.rn\.satfinite\.e4m3x2\.f32|cvt\.rni\.sat\.s8\.f32|cvt\.rn\.f32\.[su](8|16|32)|(max|min)\.NaN\.(f32|bf16x2|f16x2))"
      R"(|setp\.[a-z]+\.f(32|64)|(mov|ld|st|shfl)\.\S*)");
  return std::regex_match(opcode, exact);
}

bool is_floating(const std::string& opcode) {
  static const std::regex floating(R"(\.(f16|bf16|f32|f64|tf32|e4m3|e5m2)(x2|x4)?(\.|$)|\.(approx|ftz|sat|full))");
  return std::regex_search(opcode, floating);
}

}  // namespace

std::vector<std::string> lint_ptx(const std::string& ptx) {
  // An opcode begins a statement, behind braces, labels and a predicate; directives begin with a point.
  static const std::regex statement(R"((?:^|[;{}:]|@!?%\w+)\s*([a-z][a-z0-9_]*(?:(?:::|\.)[a-zA-Z0-9_]+)*))");
  std::vector<std::string> out;
  int number = 0;
  for (std::size_t begin = 0; begin < ptx.size();) {
    ++number;
    const std::size_t end = std::min(ptx.find('\n', begin), ptx.size());
    const std::string line = ptx.substr(begin, end - begin);
    const std::string code = line.substr(0, line.find("//"));
    begin = end + 1;
    for (std::sregex_iterator it(code.begin(), code.end(), statement), last; it != last; ++it) {
      const std::string opcode = (*it)[1];
      if (is_floating(opcode) && !is_exact(opcode)) out.push_back(fmt::format("line {}: {}", number, line));
    }
  }
  return out;
}

}  // namespace isofold
