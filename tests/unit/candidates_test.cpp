// Every operator has a schedule on every GPU, whatever its rows.
#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/operators.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "support/named_dtypes.hpp"

using namespace isofold;

namespace {

bool runs_without_workspace(const Spec& spec, const Fold& fold, const DeviceTraits& device, int vector_limit) {
  const std::vector<Plan> plans = candidates(spec, fold, device, vector_limit);
  return std::any_of(plans.begin(), plans.end(), [](const Plan& plan) { return !needs_workspace(plan); });
}

}  // namespace

TEST_CASE("every operator has a schedule that needs no workspace, in every dtype and length, on every GPU") {
  for (const char* arch : {"sm_80", "sm_90", "sm_100"}) {
    const DeviceTraits device = traits_of_arch(arch).value();
    for (const NamedOperator& named : named_operators())
      for (const DType dtype : testing::dtypes_of(named))
        for (const std::int64_t n : {1, 4096, 20000, 33000, 40000, 65537, 100001, 151936, 262144, 300001, 600001, 2147483647}) {
          const Spec spec = named.make(n, dtype);
          CAPTURE(text(spec));
          CAPTURE(arch);
          CHECK(runs_without_workspace(spec, default_fold(spec), device, 16));
          CHECK(runs_without_workspace(spec, default_fold(spec), device, 1));
        }
  }
}

TEST_CASE("folds with more room than the row has elements, and long rows of few segments, have schedules") {
  const auto finds = [](const char* text, const char* fold, const char* arch) {
    return runs_without_workspace(parse_spec(text), parse_fold(fold), traits_of_arch(arch).value(), 16);
  };
  CHECK(finds("few N=8 (x: e4m3[row], weight: e4m3[column]) { y: e4m3 = mul(x, div(weight, sum(x))) }", "leaf=16 lanes=32 segments=4", "sm_90"));
  CHECK(finds("few N=32 (x: f32[row], weight: f32[column]) { y: f32 = mul(x, div(weight, sum(x))) }", "leaf=4 lanes=8 segments=16", "sm_80"));
  CHECK(finds("few N=1000 (x: i8[row]) { y: f32 = sum(x) }", "leaf=2 lanes=512 segments=32", "sm_90"));
  for (const char* segments : {"1", "2", "4"})  // ends, with or without one
    finds("lengthy N=600000 (x: bf16[row]) { y: f32 = sum(x) }", (std::string("leaf=8 lanes=32 segments=") + segments).c_str(), "sm_90");
}

TEST_CASE("a fold of one segment, which one warp has to itself, has a schedule") {
  for (const char* arch : {"sm_80", "sm_90"})
    for (const std::int64_t n : {64, 1000, 2048, 3000, 4096})
      for (const Fold& fold : {Fold{8, 32, 1}, Fold{4, 32, 1}, Fold{1, 32, 1}, Fold{8, 32, 2}}) {
        const Spec spec = parse_spec("one N=" + std::to_string(n) + " (x: bf16[row]) { y: bf16 = div(x, sum(x)) }");
        CAPTURE(text(fold));
        CAPTURE(n);
        const bool is_too_long = n / (fold.lanes * fold.segments) > 128;
        CHECK((is_too_long || runs_without_workspace(spec, fold, traits_of_arch(arch).value(), 8)));
      }
}
