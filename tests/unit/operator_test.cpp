#include <isofold/isofold.hpp>

#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/cost_model.hpp>
#include <isofold/tuner.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>

#include "kernel.hpp"
#include "launch_table.hpp"

using namespace isofold;

namespace {

const Spec spec = rms_norm({.n = 4096});
const Fold fold = default_fold(spec);
const DeviceTraits device = *traits_of_arch("sm_90");

struct NoKernel final : Kernel {
  explicit NoKernel(const Plan& plan) : Kernel(plan, std::make_shared<KernelImage>()) {}
  void launch(CUstream_st*, const Parameters&, std::int64_t, void*) const override {}
};

Timing timing(int threads, double microseconds) {
  return {.schedule = GpuSchedule{.threads_per_row = threads},
          .fold = fold,
          .microseconds = microseconds,
          .spread = 0};
}

}  // namespace

TEST_CASE("the cost model's ranges begin with 1, ascend, and are the cheapest where it is asked") {
  const auto ranges = modelled_ranges(spec, fold, device);
  REQUIRE(!ranges.empty());
  CHECK(ranges.front().first_tokens == 1);
  for (std::size_t i = 1; i < ranges.size(); ++i) CHECK(ranges[i].first_tokens > ranges[i - 1].first_tokens);
  const LaunchTable table(spec, fold, device, ranges);
  auto plans = candidates(spec, fold, device);
  std::erase_if(plans, [](const Plan& plan) { return plan.gpu().split == Split::workspace; });
  for (std::int64_t tokens = 1; tokens <= largest_modelled_tokens; tokens *= 2) {
    const double cheapest = estimated_microseconds(plans[by_cost(plans, tokens).front()], tokens);
    CHECK(estimated_microseconds(table.plan(table.range_of(tokens), alignment_classes - 1), tokens) ==
          cheapest);
  }
}

TEST_CASE("the cost model never chooses a schedule that needs a workspace") {
  const Spec long_rows = rms_norm({.n = 65536});
  const DeviceTraits old = *traits_of_arch("sm_80");
  for (const LaunchRange& range : modelled_ranges(long_rows, default_fold(long_rows), old))
    CHECK(std::get<GpuSchedule>(range.schedule).split != Split::workspace);
}

TEST_CASE("a token count's range is the last that begins at or before it") {
  const LaunchTable table(spec, fold, device,
                          {{1, GpuSchedule{.threads_per_row = 32}, ""},
                           {5, GpuSchedule{.threads_per_row = 64}, ""},
                           {100, GpuSchedule{.threads_per_row = 128}, ""}});
  CHECK(table.range_of(1) == 0);
  CHECK(table.range_of(4) == 0);
  CHECK(table.range_of(5) == 1);
  CHECK(table.range_of(99) == 1);
  CHECK(table.range_of(100) == 2);
  CHECK(table.range_of(std::int64_t{1} << 40) == 2);
}

TEST_CASE("less alignment takes narrower accesses and nothing else") {
  const GpuSchedule wide{.threads_per_row = 128, .vector = 8};
  const LaunchTable table(spec, fold, device, {{1, wide, ""}});
  for (int alignment_class = 0; alignment_class < alignment_classes; ++alignment_class) {
    GpuSchedule expected = wide;
    expected.vector = std::min(8, 1 << alignment_class);
    CHECK(table.plan(0, alignment_class).gpu() == expected);
  }
}

TEST_CASE("a slot keeps its first kernel") {
  LaunchTable table(spec, fold, device, {{1, GpuSchedule{.threads_per_row = 128, .vector = 8}, ""}});
  CHECK(table.find(0, 3) == nullptr);
  const auto first = std::make_shared<NoKernel>(table.plan(0, 3));
  table.insert(0, 3, first);
  table.insert(0, 3, std::make_shared<NoKernel>(table.plan(0, 3)));
  CHECK(table.find(0, 3) == first.get());
  CHECK(table.find(0, 2) == nullptr);
  CHECK(table.find(0, alignment_classes - 1) == first.get());  // 8 elements are all that a leaf has
}

TEST_CASE("alignment classes that come to the same kernel share it") {
  const Spec odd = rms_norm({.n = 4097});
  const LaunchTable gpu(odd, default_fold(odd), device, {{1, GpuSchedule{.threads_per_row = 128}, ""}});
  DeviceTraits some_cpu;
  some_cpu.kind = DeviceTraits::Kind::cpu;
  some_cpu.vector_width = 8;
  some_cpu.threads = 1;
  const LaunchTable cpu(spec, fold, some_cpu, {{1, CpuSchedule{}, ""}});
  for (int alignment_class = 1; alignment_class < alignment_classes; ++alignment_class) {
    CHECK(gpu.same_kernel(0, 0, alignment_class));
    CHECK(cpu.same_kernel(0, 0, alignment_class));
  }
}

TEST_CASE("measured counts become ranges with boundaries between them") {
  const std::vector<TokenResult> results{
      {.tokens = 4, .timings = {timing(32, 1.0), timing(64, 1.2)}, .best_any_fold = {}},
      {.tokens = 16, .timings = {timing(64, 2.0), timing(32, 3.0)}, .best_any_fold = {}},
      {.tokens = 64, .timings = {timing(64, 8.0)}, .best_any_fold = {}}};
  const std::vector<TableRange> ranges = ranges_of(results);
  REQUIRE(ranges.size() == 2);
  CHECK(ranges[0] == TableRange{1, GpuSchedule{.threads_per_row = 32}, 1.0, 4, 0, {{GpuSchedule{.threads_per_row = 64}, 1.2}}});
  CHECK(ranges[1] == TableRange{8, GpuSchedule{.threads_per_row = 64}, 2.0, 16, 0, {{GpuSchedule{.threads_per_row = 32}, 3.0}}});
}

TEST_CASE("a schedule as fast as the fastest is kept from the range before") {
  const std::vector<TokenResult> results{
      {.tokens = 1, .timings = {timing(32, 1.0)}, .best_any_fold = {}},
      {.tokens = 2, .timings = {timing(64, 1.0), timing(32, 1.004)}, .best_any_fold = {}},
      {.tokens = 4, .timings = {timing(64, 1.0), timing(32, 1.006)}, .best_any_fold = {}}};
  const std::vector<TableRange> ranges = ranges_of(results);
  REQUIRE(ranges.size() == 2);
  CHECK(ranges[1].first_tokens == 3);
  CHECK(ranges_of({}).empty());
}
