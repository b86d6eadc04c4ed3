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
    CHECK(estimated_microseconds(table.plan(table.choice(tokens), alignment_classes - 1), tokens) ==
          cheapest);
  }
}

TEST_CASE("the cost model chooses a schedule that needs a workspace for callers who have one, and another for the rest") {
  const Spec huge = row_reduction({.n = std::int64_t{1} << 24, .dtype = DType::bf16});
  const auto ranges = modelled_ranges(huge, default_fold(huge), device);
  CHECK(!needs_workspace(ranges.front().schedule));
  REQUIRE(ranges.front().with_workspace);
  CHECK(needs_workspace(*ranges.front().with_workspace));
  CHECK(std::get<GpuSchedule>(*ranges.front().with_workspace).blocks_per_row > 16);
  CHECK(!ranges.back().with_workspace);  // rows enough to keep every multiprocessor busy
  for (const LaunchRange& range : ranges) CHECK(!needs_workspace(range.schedule));
  for (const LaunchRange& range : modelled_ranges(spec, fold, device)) CHECK(!range.with_workspace);
}

TEST_CASE("a launch takes the schedule with a workspace where its workspace is large enough") {
  const Spec rows = row_reduction({.n = 65536, .dtype = DType::f32});
  const Fold of_rows = default_fold(rows);
  const GpuSchedule plain{.threads_per_row = 1024, .staging = Staging::reread, .vector = 4};
  const GpuSchedule split{.threads_per_row = 128, .blocks_per_row = 4, .split = Split::workspace, .staging = Staging::reread, .vector = 4};
  const GpuSchedule wider{.threads_per_row = 128, .blocks_per_row = 8, .split = Split::workspace, .staging = Staging::reread, .vector = 4};
  const LaunchTable table(rows, of_rows, device, {{1, plain, "first", true, wider}, {4, plain, "second", true, split}, {64, plain, "third"}});
  REQUIRE(table.choices() == 5);
  CHECK(table.choice(1) == 0);
  CHECK(table.choice(1, 31) == 0);  // 8 blocks have a float each
  CHECK(table.choice(1, 32) == 3);
  CHECK(table.choice(3, 95) == 0);
  CHECK(table.choice(3, 96) == 3);
  CHECK(table.choice(4, 64) == 4);
  CHECK(table.choice(63, 63 * 16 - 1) == 1);
  CHECK(table.choice(64, std::size_t{1} << 40) == 2);
  CHECK(table.plan(3, alignment_classes - 1).gpu() == wider);
  CHECK(table.range(3).origin == "first");
  CHECK(table.range(4).origin == "second");
  CHECK(table.choices_of(std::vector<std::int64_t>{2}) == std::vector<std::size_t>{0, 3});
  CHECK(table.choices_of(std::vector<std::int64_t>{64}) == std::vector<std::size_t>{2});
  CHECK(table.workspace_bytes(0) == 0);
  CHECK(table.workspace_bytes(1) == 32);
  CHECK(table.workspace_bytes(4) == 96);
  CHECK(table.workspace_bytes(40) == 640);
  CHECK(table.workspace_bytes(100000) == 63 * 16);
}

TEST_CASE("a token count's range is the last that begins at or before it") {
  const LaunchTable table(spec, fold, device,
                          {{1, GpuSchedule{.threads_per_row = 32}, ""},
                           {5, GpuSchedule{.threads_per_row = 64}, ""},
                           {100, GpuSchedule{.threads_per_row = 128}, ""}});
  CHECK(table.choice(1) == 0);
  CHECK(table.choice(4) == 0);
  CHECK(table.choice(5) == 1);
  CHECK(table.choice(99) == 1);
  CHECK(table.choice(100) == 2);
  CHECK(table.choice(std::int64_t{1} << 40) == 2);
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
      {.tokens = 4, .timings = {timing(32, 1.0), timing(64, 1.2)}, .best_any_fold = timing(16, 0.9)},
      {.tokens = 16, .timings = {timing(64, 2.0), timing(32, 3.0)}, .best_any_fold = {}},
      {.tokens = 64, .timings = {timing(64, 8.0)}, .best_any_fold = {}}};
  const std::vector<TableRange> ranges = table_ranges(results);
  REQUIRE(ranges.size() == 2);
  CHECK(ranges[0] == TableRange{1, GpuSchedule{.threads_per_row = 32}, 1.0, 4, 0, {{GpuSchedule{.threads_per_row = 64}, 1.2}}, {}, 0.9});
  CHECK(ranges[1] == TableRange{8, GpuSchedule{.threads_per_row = 64}, 2.0, 16, 0, {{GpuSchedule{.threads_per_row = 32}, 3.0}}});
}

TEST_CASE("where the fastest schedule needs a workspace the fastest that needs none is kept beside it") {
  const auto split = [](int blocks, double microseconds, int stage = 0) {
    Timing timed = timing(128, microseconds);
    auto& gpu = std::get<GpuSchedule>(timed.schedule);
    gpu.blocks_per_row = blocks;
    gpu.split = Split::workspace;
    timed.stage = stage;
    return timed;
  };
  const std::vector<TokenResult> results{
      {.tokens = 1, .timings = {split(64, 2.0, 3), split(32, 2.1, 3), timing(32, 9.0), timing(64, 9.5)}, .best_any_fold = {}},
      {.tokens = 2, .timings = {split(32, 3.0, 3), split(64, 3.01, 3), timing(32, 9.0)}, .best_any_fold = {}},
      {.tokens = 4, .timings = {timing(32, 9.0), split(64, 9.5)}, .best_any_fold = {}},
      {.tokens = 8, .timings = {split(64, 9.5)}, .best_any_fold = {}}};
  const std::vector<TableRange> ranges = table_ranges(results);
  REQUIRE(ranges.size() == 2);
  CHECK(ranges[0].schedule == Schedule(GpuSchedule{.threads_per_row = 32}));
  REQUIRE(ranges[0].with_workspace);
  CHECK(*ranges[0].with_workspace == MeasuredSchedule{split(64, 0).schedule, 2.0});
  CHECK(ranges[0].runners_up == std::vector<MeasuredSchedule>{{GpuSchedule{.threads_per_row = 64}, 9.5}});
  CHECK(ranges[1].first_tokens == 3);
  CHECK(ranges[1].schedule == ranges[0].schedule);
  CHECK(!ranges[1].with_workspace);
}

TEST_CASE("a schedule as fast as the fastest is kept from the range before") {
  const std::vector<TokenResult> results{
      {.tokens = 1, .timings = {timing(32, 1.0)}, .best_any_fold = {}},
      {.tokens = 2, .timings = {timing(64, 1.0), timing(32, 1.004)}, .best_any_fold = {}},
      {.tokens = 4, .timings = {timing(64, 1.0), timing(32, 1.006)}, .best_any_fold = {}}};
  const std::vector<TableRange> ranges = table_ranges(results);
  REQUIRE(ranges.size() == 2);
  CHECK(ranges[1].first_tokens == 3);
  CHECK(table_ranges({}).empty());
}
