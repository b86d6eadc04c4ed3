#include "reserved_names.hpp"

#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/cuda_emitter.hpp>
#include <isofold/error.hpp>

#include <doctest/doctest.h>

#include <regex>
#include <set>
#include <string>
#include <vector>

using namespace isofold;

namespace {

// Specs whose own names no generated name contains.
const std::vector<std::string> questions{
    "qq N=4096 (qa: bf16[row], qb: f16[row], qc: f32[column]) { qd = add(qa, qb); qe = sum(mul(qd, qd)); qf = div(1, "
    "sqrt(add(qe, 1))); qg: bf16 = mul(mul(qd, qf), qc); qh: f32 = qd }",
    "qq N=515 (qa: f16[row], qc: bf16[column]) { qe = sum(mul(bf16(mul(qa, qc)), sqrt(qa))); qg: f16 = mul(bf16(add(qa, "
    "1)), sqrt(sqrt(qe))); qh: bf16 = mul(qa, qc) }",
    "qq N=65536 (qa: f32[row]) { qe = sum(qa); qg: f32 = add(qa, qe) }",
    "qq N=4096 (qa: bf16[row], qc: f32[row], qb: i32[token]) { qd = where(less(index, qb), qa, 0); qg: bf16 = mul(qd, sum(mul(qd, where(less(index, qb), qc, 1)))) }",
    "qq N=7 (qa: bf16[row]) { qe = sum(qa); qg: bf16 = mul(qa, sqrt(qe)) }"};

/// What a name of a Spec would meet: identifiers inside kernels, and those of everything before them at file scope.
std::set<std::string> visible_names(const std::string& text) {
  static const std::regex unread("//[^\n]*|\"[^\"]*\"|#pragma[^\n]*|\\b[0-9][A-Za-z0-9_.]*|[.][a-z]+"), name("[A-Za-z_][A-Za-z0-9_]*"),
      function("__device__ __forceinline__ (?:[a-z]+ )+([a-z][a-z0-9_]*)\\(");
  const std::string code = std::regex_replace(text, unread, " ");
  std::set<std::string> names;
  for (std::sregex_iterator it(code.begin(), code.end(), function), end; it != end; ++it) names.insert((*it)[1]);
  const std::string kernels = code.substr(code.find("__global__"));
  for (std::sregex_iterator it(kernels.begin(), kernels.end(), name), end; it != end; ++it) names.insert(it->str());
  return names;
}

bool could_be_a_name(const std::string& word) {
  static const std::regex form("[a-z][a-z0-9_]{0,31}");
  return std::regex_match(word, form);
}

}  // namespace

TEST_CASE("no Spec can take a name that generated kernels use") {
  std::set<std::string> seen;
  for (const std::string& question : questions) {
    const Spec spec = parse_spec(question);
    for (const Fold& fold : {default_fold(spec), Fold{.leaf = 4, .lanes = 128, .segments = 4}})
      for (const char* arch : {"sm_80", "sm_90"})
        for (const Plan& plan : candidates(spec, fold, *traits_of_arch(arch)))
          seen.merge(visible_names(emit_cuda(plan).text));
  }
  REQUIRE(seen.size() > 60);
  for (const std::string& word : seen) {
    if (!could_be_a_name(word) || (word.size() == 2 && word[0] == 'q')) continue;
    CAPTURE(word);
    CHECK(is_reserved_name(word));
    CHECK_THROWS_AS(parse_spec("op N=8 (" + word + ": f32[row]) { t_ = sum(" + word + "); y: f32 = mul(" + word + ", t_) }"),
                    UsageError);
  }
}

TEST_CASE("ordinary names are free, words of C++ and numbered values are not") {
  for (const char* name : {"x", "y", "h", "r", "weight", "residual_out", "total", "gate", "first", "mean", "scale"})
    CHECK(!is_reserved_name(name));
  for (const char* name : {"bitor", "char16_t", "static_cast", "co_await", "float4", "value_3", "halve", "load_16_streaming",
                           "x_words", "dim3", "xor_eq"})
    CHECK(is_reserved_name(name));
}
