#include <doctest/doctest.h>
#include <fmt/format.h>

#include <isofold/codegen/digest.hpp>
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/error.hpp>

using namespace isofold;

namespace {

Spec spec_of(std::int64_t n, DType dtype) {
  RmsNormOptions options;
  options.n = n;
  options.dtype = dtype;
  return rms_norm(options);
}

}  // namespace

TEST_CASE("a fold's text parses back") {
  const Fold fold{.leaf = 4, .lanes = 16, .segments = 2};
  CHECK(parse_fold(text(fold)) == fold);
  CHECK_THROWS_AS(parse_fold("leaf=3 lanes=16 segments=2"), UsageError);
  CHECK_THROWS_AS(parse_fold("leaf=4 lanes=16"), UsageError);
  CHECK_THROWS_AS(parse_fold("leaf=4 lanes=16 segments=2 more=1"), UsageError);
  CHECK_THROWS_AS(parse_fold("leaf=4 lanes=16 lanes=16 segments=2"), UsageError);
  CHECK_THROWS_AS(parse_fold("leaf=4 lanes=0 segments=2"), UsageError);
}

TEST_CASE("the default fold is frozen by the numerics version") {
  REQUIRE(numerics_version == 1);
  const auto folded = [](std::int64_t n, DType dtype) { return text(default_fold(spec_of(n, dtype))); };
  CHECK(folded(1, DType::bf16) == "leaf=8 lanes=1 segments=1");
  CHECK(folded(128, DType::f16) == "leaf=8 lanes=16 segments=1");
  CHECK(folded(4096, DType::bf16) == "leaf=8 lanes=32 segments=16");
  CHECK(folded(4096, DType::f32) == "leaf=4 lanes=32 segments=16");
  CHECK(folded(5120, DType::bf16) == "leaf=8 lanes=32 segments=8");
  CHECK(folded(7168, DType::bf16) == "leaf=8 lanes=32 segments=16");
  CHECK(folded(8192, DType::bf16) == "leaf=8 lanes=32 segments=16");
  CHECK(folded(16384, DType::bf16) == "leaf=8 lanes=32 segments=64");
  CHECK(folded(32000, DType::bf16) == "leaf=4 lanes=32 segments=32");
  CHECK(text(default_fold(parse_spec("powers N=32000 (x: bf16[row]) { y: bf16 = sum(exp(x)) }"))) == "leaf=8 lanes=32 segments=32");
  CHECK(folded(65536, DType::f32) == "leaf=4 lanes=32 segments=64");
  std::string all;
  for (const DType dtype : {DType::bf16, DType::f16, DType::f32})
    for (std::int64_t n = 1; n <= 65536; ++n) all += folded(n, dtype) + "\n";
  CHECK_MESSAGE(digest(all) == "61d69cf782aed49074d16425a94fbe62", "another default fold is another numerics version");
  CHECK(folded(1 << 20, DType::bf16) == "leaf=8 lanes=32 segments=512");
  CHECK(folded(1 << 21, DType::bf16) == "leaf=8 lanes=32 segments=1024");
  CHECK(folded(1050001, DType::f32) == "leaf=4 lanes=32 segments=1024");
  CHECK(text(default_fold(parse_spec("wide N=16777216 (x: f64[row]) { y: f64 = sum(x) }"))) == "leaf=2 lanes=32 segments=512");
  std::string rest;
  for (const DType dtype : {DType::bf16, DType::f32})
    for (std::int64_t n = 65537; n <= max_row_length; n += n / 5000) rest += folded(n, dtype) + "\n";
  for (const char* dtype : {"f64", "e4m3", "i8"})
    for (std::int64_t n = 1; n <= max_row_length; n += 1 + n / 500)
      rest += text(default_fold(parse_spec(fmt::format("other N={} (x: {}[row]) {{ y: {} = sum(x) }}", n, dtype, *dtype == 'f' ? "f64" : "f32")))) + "\n";
  CHECK_MESSAGE(digest(rest) == "7f69fbbc338d9047080000453fe56a79", "another default fold is another numerics version");
}

TEST_CASE("every default fold is well formed and covers the row") {
  for (const DType dtype : {DType::bf16, DType::f32})
    for (std::int64_t n = 1; n <= 300000; n = n < 600 ? n + 1 : n + 997) {
      const Spec spec = spec_of(n, dtype);
      const Fold fold = default_fold(spec);
      CAPTURE(n);
      REQUIRE(broken_rule(fold).empty());
      REQUIRE(leaves_per_segment(fold, n) * fold.segments * fold.leaf >= n);
      REQUIRE((fold.lanes == 1 || leaves_per_segment(fold, n) > fold.lanes / 2));
    }
}

TEST_CASE("the bits id follows the spec and the fold") {
  const Spec spec = spec_of(256, DType::bf16);
  const Fold fold = default_fold(spec);
  CHECK(bits_id(spec, fold) == bits_id(spec, fold));
  CHECK(bits_id(spec, fold).size() == 32);
  CHECK(bits_id(spec, fold) != bits_id(spec_of(256, DType::f16), fold));
  CHECK(bits_id(spec, fold) != bits_id(spec, {.leaf = fold.leaf, .lanes = fold.lanes / 2, .segments = fold.segments}));
}
