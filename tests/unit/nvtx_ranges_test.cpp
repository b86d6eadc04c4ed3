// What of an operator is shown to a profiler, and that nothing is unless it was asked for.
#include <isofold/isofold.hpp>

#include <dlfcn.h>

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <vector>

using namespace isofold;

namespace {

std::string shown() {
  const auto text = reinterpret_cast<const char* (*)()>(dlsym(dlopen(ISOFOLD_FAKE_PROFILER, RTLD_NOW), "fake_profiler_log"));
  REQUIRE((text != nullptr));
  return text();
}

void prepare_and_launch(const RuntimeOptions& options) {
  const Runtime runtime(options);
  const Operator op = runtime.make_operator(row_reduction({.n = 4, .dtype = DType::f32}));
  op.prepare(std::vector<std::int64_t>{3});
  const std::vector<float> x(12, 1);
  std::vector<float> y(3);
  const ConstTensor input{x.data()};
  const MutableTensor output{y.data()};
  op.launch(nullptr, {&input, 1}, {&output, 1}, 3);
  CHECK_THROWS_AS(op.launch(nullptr, {&input, 1}, {}, 3), UsageError);
  CHECK(y == std::vector<float>(3, 4));
}

}  // namespace

TEST_CASE("prepare and launch are ranges, when they are wanted") {
  unsetenv("ISOFOLD_NVTX");
  prepare_and_launch({.device = "cpu", .cache_folder = "off", .tables = {}});
  CHECK(shown().empty());
  prepare_and_launch({.device = "cpu", .cache_folder = "off", .tables = {}, .nvtx = true});
  const std::string once = "isofold push prepare row_sum 1;pop;isofold push row_sum 3;pop;isofold push row_sum 3;pop;";
  CHECK(shown() == once);
  setenv("ISOFOLD_NVTX", "on", 1);
  prepare_and_launch({.device = "cpu", .cache_folder = "off", .tables = {}});
  CHECK(shown() == once + once);
}
