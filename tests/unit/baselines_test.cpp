// The limits of the machine on the CPU backend; tests/gpu has the same on a GPU.
#include "baselines.hpp"

#include <isofold/isofold.hpp>

#include <doctest/doctest.h>

using namespace isofold;

TEST_CASE("copying is measured on the CPU, an empty kernel is not") {
  const Runtime runtime{{.device = "cpu", .cache_folder = "off", .tables = {}}};
  const TimingEffort quick{
      .replay_microseconds = 100, .min_samples = 2, .max_samples = 2, .enough_spread = 1, .seconds = 0.1};
  CHECK(tools::measure_copy(*runtime.impl(), 1 << 16, quick).microseconds > 0);
  CHECK_THROWS_AS(tools::measure_empty_kernel(*runtime.impl(), quick), UsageError);
}
