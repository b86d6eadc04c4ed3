// Questions that cannot be asked.
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/codegen/schedule.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include "support/error_text.hpp"

using namespace isofold;
using namespace isofold::testing;

namespace {

std::string options_error(const RmsNormOptions& options) {
  return usage_error([&] { rms_norm(options); });
}
std::string spec_error(const std::string& text) {
  return usage_error([&] { parse_spec(text); });
}

}  // namespace

TEST_CASE("row lengths") {
  for (const std::int64_t n :
       {std::int64_t{-1}, std::int64_t{1} << 31, std::numeric_limits<std::int64_t>::max(),
        std::numeric_limits<std::int64_t>::min()})
    CHECK(options_error({.n = n}) == "rms_norm: n is " + std::to_string(n) + ", allowed is 0 to 2147483647");
  CHECK(contains(
      spec_error("t N=99999999999999999999 (x: f32[row]) { total = sum(x); y: f32 = mul(x, total) }"), "N"));
}

TEST_CASE("eps") {
  CHECK(contains(options_error({.n = 8, .eps = -1e-6f}), "allowed is a finite number >= 0"));
  CHECK(contains(options_error({.n = 8, .eps = std::numeric_limits<float>::infinity()}), "eps is inf"));
  CHECK(contains(options_error({.n = 8, .eps = std::nanf("")}), "eps is"));
}

TEST_CASE("dtypes and operations that do not exist") {
  CHECK(!parse_dtype("f8"));
  CHECK(!parse_dtype(""));
  CHECK(contains(spec_error("t N=8 (x: f64[row]) { total = sum(x); y: f32 = mul(x, total) }"), "f64"));
  CHECK(contains(spec_error("t N=8 (x: f32[row]) { total = sum(x); y: f32 = sinh(total) }"),
                 "'sinh' is not defined"));
  CHECK(contains(spec_error("t N=8 (x: f32[plane]) { total = sum(x); y: f32 = mul(x, total) }"), "plane"));
}

TEST_CASE("names that are not identifiers, and code in their place") {
  for (const char* name :
       {"X", "1x", "x-y", "__x", "float", "return", "sum", "bf16", "x\\ny", "x;asm(\"trap;\")", "x\"",
        "#include", "x/**/y", "abcdefghijklmnopqrstuvwxyzabcdefg"}) {
    INFO(name);
    CHECK(spec_error(std::string("t N=8 (") + name + ": f32[row]) { total = sum(" + name +
                     "); y: f32 = mul(" + name + ", total) }") != "");
  }
  CHECK(spec_error("t\nN=8 (x: f32[row]) { total = sum(x); y: f32 = mul(x, total) }") == "");  // any spacing
  CHECK(spec_error("t;x N=8 (x: f32[row]) { total = sum(x); y: f32 = mul(x, total) }") != "");
}

TEST_CASE("expressions that are no expressions") {
  for (const char* expression :
       {"", "x)", "mul(x", "mul(x)", "mul(x, total, total)", "x + total", "*x", "mul(x, 1e999)",
        "mul(x, nan)", "system(1)", "y", "mul(x, total) }; __global__ void f() {"}) {
    INFO(expression);
    CHECK(spec_error(std::string("t N=8 (x: f32[row]) { total = sum(x); y: f32 = ") + expression + " }") !=
          "");
  }
  std::string deep = "x", wide = "x";
  for (int i = 0; i < 80; ++i) deep = "add(" + deep + ", 1)";
  CHECK(spec_error("t N=8 (x: f32[row]) { total = sum(x); y: f32 = mul(total, " + deep + ") }") != "");
  while (wide.size() < max_spec_text) wide = "add(" + wide + ", 123456789)";
  CHECK(spec_error("t N=8 (x: f32[row]) { total = sum(x); y: f32 = mul(total, " + wide + ") }") != "");
}

TEST_CASE("folds and schedules") {
  for (const char* fold : {"", "leaf=8", "leaf=3 lanes=32 segments=1", "leaf=8 lanes=0 segments=1",
                           "leaf=8 lanes=32 segments=2048", "leaf=8 lanes=32 segments=1 depth=2",
                           "leaf=99999999999 lanes=1 segments=1"})
    CHECK(usage_error([&] { parse_fold(fold); }) != "");
  for (const char* schedule : {"", "gpu", "tpu threads=32", "cpu width=eight memory=cached",
                               "cpu width=8 memory=fast", "cpu width=8 memory=cached extra=1"})
    CHECK(usage_error([&] { parse_schedule(schedule); }) != "");
}
