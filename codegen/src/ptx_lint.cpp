#include <isofold/codegen/cuda_emitter.hpp>

#include <fmt/format.h>

#include <regex>
#include <sstream>

namespace isofold {

std::vector<std::string> lint_ptx(const std::string& ptx) {
  // add.f32 and mul.f32 without a rounding modifier may be contracted by ptxas; mad is always a contraction.
  static const std::regex broken(
      R"(\.approx|\.ftz|^\s*(@!?%p\d+\s+)?(mad\.(rn\.|rz\.|rm\.|rp\.)?f(32|64)|(add|sub|mul|fma|div|sqrt)\.f32|(red|atom)\S*\.f(16|32|64))|(div|sqrt|rcp)\.full)");
  std::vector<std::string> out;
  std::istringstream lines(ptx);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::string code = line.substr(0, line.find("//"));
    if (std::regex_search(code, broken)) out.push_back(fmt::format("line {}: {}", number, line));
  }
  return out;
}

}  // namespace isofold
