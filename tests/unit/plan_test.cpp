#include <doctest/doctest.h>

#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/cost_model.hpp>
#include <isofold/codegen/plan.hpp>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/codegen/softmax.hpp>

#include <algorithm>
#include <set>

using namespace isofold;

namespace {

Spec spec_of(std::int64_t n, bool residual = false) {
  RmsNormOptions options;
  options.n = n;
  options.residual = residual;
  return rms_norm(options);
}

const DeviceTraits h100 = *traits_of_arch("sm_90");
const DeviceTraits a100 = *traits_of_arch("sm_80");

std::string rule(const Spec& spec, GpuSchedule schedule, const DeviceTraits& device = h100) {
  return make_plan(spec, default_fold(spec), schedule, device).broken_rule();
}

}  // namespace

TEST_CASE("schedules and devices have texts that parse back") {
  GpuSchedule gpu{.threads_per_row = 256, .blocks_per_row = 4, .split = Split::cluster, .staging = Staging::shared,
                  .vector = 8, .early_weights = false, .streaming = true, .dependent_launch = true, .resident_blocks = 3};
  CHECK(parse_schedule(text(gpu)) == Schedule(gpu));
  CHECK(text(gpu).find("shared_calls") == std::string::npos);
  gpu.shared_calls = 4;
  CHECK(text(gpu).ends_with(" shared_calls=4"));
  CHECK(parse_schedule(text(gpu)) == Schedule(gpu));
  CHECK_THROWS_AS(parse_schedule(text(gpu) + " shared_calls=4"), UsageError);
  const CpuSchedule cpu{.width = 16, .streaming = true};
  CHECK(parse_schedule(text(cpu)) == Schedule(cpu));
  CHECK(parse_device_traits(text(h100)) == h100);
  CHECK_THROWS_AS(parse_schedule("gpu threads=256"), UsageError);
  CHECK_THROWS_AS(parse_schedule("tpu width=8"), UsageError);
  CHECK_THROWS_AS(parse_schedule("cpu width=8 memory=warm"), UsageError);
  CHECK_THROWS_AS(parse_device_traits("cuda name=x arch=61"), UsageError);
  CHECK_FALSE(traits_of_arch("sm_61").has_value());
  CHECK_FALSE(traits_of_arch("H100").has_value());
}

TEST_CASE("make_plan names the broken rule") {
  const Spec spec = spec_of(8192, true);
  const GpuSchedule good{.threads_per_row = 256, .vector = 8};
  CHECK(rule(spec, good).empty());
  const auto broken = [&](auto change, const char* words, const DeviceTraits& device = h100) {
    GpuSchedule bad = good;
    change(bad);
    CAPTURE(std::string(words));
    CHECK(rule(spec, bad, device).find(words) != std::string::npos);
  };
  broken([](auto& s) { s.threads_per_row = 96; }, "power of two");
  broken([](auto& s) { s.threads_per_row = 2048; }, "power of two from 1 to 1024");
  broken([](auto& s) { s.rows_per_block = 8; }, "threads * rows");
  broken([](auto& s) { s.threads_per_row = 16; }, "threads * rows = 16");
  broken([](auto& s) { s.blocks_per_row = 2; }, "split=none");
  broken([](auto& s) { s.blocks_per_row = 2, s.split = Split::cluster; }, "needs sm_90", a100);
  broken([](auto& s) { s.dependent_launch = true; }, "needs sm_90", a100);
  broken([](auto& s) { s.blocks_per_row = 8, s.split = Split::cluster; }, "only 16 segments");
  broken([](auto& s) { s.blocks_per_row = 2, s.split = Split::workspace; }, "staging=reread");
  broken([](auto& s) { s.vector = 16; }, "vector=16");
  broken([](auto& s) { s.threads_per_row = 64; }, "128 elements per thread");
  broken([](auto& s) { s.staging = Staging::shared, s.early_weights = true; }, "weights=early");
  broken([](auto& s) { s.resident_blocks = 9; }, "a multiprocessor holds 2048 threads");
  broken([](auto& s) { s.shared_calls = 1; }, "calls that are needed again");
  const Spec exps = softmax({.n = 8192, .dtype = DType::bf16});
  CHECK(rule(exps, {.threads_per_row = 256, .vector = 8, .shared_calls = 4}).empty());
  CHECK(rule(exps, {.threads_per_row = 256, .vector = 8, .shared_calls = 5}).find("of 4 leaves") != std::string::npos);
  CHECK(rule(exps, {.threads_per_row = 256, .staging = Staging::reread, .vector = 8, .shared_calls = 1}).find("staging=registers") != std::string::npos);
  CHECK(make_plan(exps, {.leaf = 2, .lanes = 32, .segments = 32}, GpuSchedule{.threads_per_row = 1024, .vector = 2, .shared_calls = 1}, h100)
            .broken_rule().find("four values") != std::string::npos);
  DeviceTraits old = a100;
  old.arch = 75;
  broken([](auto&) {}, "sm_75 is too old", old);
  CHECK(make_plan(spec, {.leaf = 3}, good, h100).broken_rule().find("leaf=3") != std::string::npos);
  CHECK(make_plan(spec, default_fold(spec), CpuSchedule{}, h100).broken_rule().find("cpu device") != std::string::npos);
  CHECK_THROWS_AS(make_plan(spec, {.leaf = 3}, good, h100).value(), UsageError);
  CHECK(rule(spec_of(515), {.threads_per_row = 32, .vector = 2}).find("must divide") != std::string::npos);
}

TEST_CASE("a kernel counts the leaves of a segment and of a thread in 32 bits") {
  const Spec longest = parse_spec("longest N=2147483647 (x: f32[row]) { y: f32 = sum(x) }");
  const auto rule_of = [&](const Fold& fold, int threads, int rows) {
    return make_plan(longest, fold, GpuSchedule{.threads_per_row = threads, .rows_per_block = rows, .staging = Staging::reread, .vector = 1}, h100)
        .broken_rule();
  };
  CHECK(rule_of({1, 32, 1}, 32, 1) == "67108864 leaves per thread, 67108864 of a lane: a kernel counts those of a thread and of a segment in 32 bits");
  CHECK(rule_of({1, 1, 1}, 1, 32).find("in 32 bits") != std::string::npos);
  CHECK(rule_of({1, 1, 32}, 1, 32).find("in 32 bits") != std::string::npos);
  CHECK(rule_of({1, 32, 2}, 32, 1) == "");
  CHECK(rule_of({2, 32, 1}, 32, 1) == "");
}

TEST_CASE("the grid covers the rows and refuses to overflow") {
  const Spec spec = spec_of(4096);
  const auto plan = make_plan(spec, default_fold(spec), GpuSchedule{.threads_per_row = 64, .rows_per_block = 4, .vector = 8}, h100).value();
  CHECK(grid_blocks(plan, 1) == 1);
  CHECK(grid_blocks(plan, 4) == 1);
  CHECK(grid_blocks(plan, 5) == 2);
  CHECK(grid_blocks(plan, std::int64_t{0x7fffffff} * 4) == 0x7fffffffu);
  CHECK_THROWS_AS(grid_blocks(plan, std::int64_t{0x7fffffff} * 4 + 1), UsageError);
  CHECK_THROWS_AS(grid_blocks(plan, 0), UsageError);
  CHECK_THROWS_AS(grid_blocks(plan, -1), UsageError);
}

TEST_CASE("candidates are legal, distinct, in a stable order, and there are some for every row length") {
  for (const std::int64_t n : {1, 2, 7, 8, 31, 64, 100, 255, 256, 257, 515, 1000, 4096, 5120, 8192, 16384, 32768, 65536}) {
    for (const DeviceTraits& device : {a100, h100, *traits_of_arch("sm_100")}) {
      const Spec spec = spec_of(n, n % 2 == 0);
      CAPTURE(n);
      CAPTURE(device.arch);
      for (const int limit : {1, 2, 8}) {
        const auto plans = candidates(spec, default_fold(spec), device, limit);
        REQUIRE_FALSE(plans.empty());
        CHECK(plans.size() <= 100);
        CHECK(plans == candidates(spec, default_fold(spec), device, limit));
        std::set<std::string> texts;
        for (const Plan& plan : plans) {
          texts.insert(text(plan));
          CHECK(plan.gpu().vector <= limit);
        }
        CHECK(texts.size() == plans.size());
      }
    }
  }
}

TEST_CASE("rows of millions have candidates with few segments and with many, and some that need no workspace") {
  for (const std::int64_t n : {std::int64_t{600000}, std::int64_t{1} << 21})
    for (const DeviceTraits& device : {a100, h100, *traits_of_arch("sm_100")})
      for (const int segments : {16, 32, 64, 512, 1024}) {
        CAPTURE(n);
        CAPTURE(device.arch);
        CAPTURE(segments);
        const auto plans = candidates(spec_of(n), {.leaf = 8, .lanes = 32, .segments = segments}, device);
        CHECK(std::any_of(plans.begin(), plans.end(), [](const Plan& plan) { return plan.gpu().split != Split::workspace; }));
      }
}

TEST_CASE("the access width follows from the row length and the alignment") {
  const Spec spec = spec_of(4096);
  const Fold fold = default_fold(spec);
  CHECK(max_vector(spec, fold, 8) == 8);
  CHECK(max_vector(spec, fold, 4) == 4);
  CHECK(max_vector(spec, fold, 3) == 1);
  CHECK(max_vector(spec_of(515), fold, 8) == 1);
  CHECK(max_vector(spec_of(516), fold, 8) == 4);
}

TEST_CASE("the cost model orders all candidates and prefers more threads for one row than for many") {
  const Spec spec = spec_of(8192, true);
  const auto plans = candidates(spec, default_fold(spec), h100);
  const auto few = by_cost(plans, 1);
  const auto many = by_cost(plans, 16384);
  CHECK(std::set<std::size_t>(few.begin(), few.end()).size() == plans.size());
  const auto team = [&](std::size_t i) { return plans[i].gpu().threads_per_row * plans[i].gpu().blocks_per_row; };
  CHECK(team(few.front()) >= team(many.front()));
  CHECK(bytes_moved(spec, 10) == 8192 * 2 * (4 * 10 + 1));
}
