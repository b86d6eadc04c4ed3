#include <isofold/tuner.hpp>

#include <doctest/doctest.h>

#include <vector>

#include "baselines.hpp"
#include "runtime_impl.hpp"

using namespace isofold;

namespace {

Runtime gpu() { return Runtime({.device = "cuda:0", .cache_folder = "off", .tables = {}}); }

constexpr TimingEffort quick{
    .replay_microseconds = 200, .min_samples = 3, .max_samples = 3, .enough_spread = 0.1, .seconds = 0.2};

}  // namespace

TEST_CASE("tuning measures every token count, rejects nothing, and is used from then on") {
  const Runtime runtime = gpu();
  Operator op = runtime.rms_norm({.n = 1000, .residual = true});  // no table has this length
  op.prepare(std::vector<std::int64_t>{1});
  CHECK(op.choice(1).origin == "cost model");
  std::vector<std::string> stages;
  const TuneResult result = tune(op, {.tokens = {1, 64, 2048},
                                      .seconds = 3,
                                      .max_candidates = 24,
                                      .progress = [&](const TuneProgress& progress) {
                                        CHECK(progress.done <= progress.total);
                                        if (stages.empty() || stages.back() != progress.stage)
                                          stages.push_back(progress.stage);
                                        return true;
                                      }});
  CHECK(stages == std::vector<std::string>{"compile", "verify", "measure"});
  CHECK(result.rejected == 0);
  REQUIRE(result.tokens.size() == 3);
  for (const TokenResult& tokens : result.tokens) {
    REQUIRE(!tokens.timings.empty());
    CHECK(tokens.timings.front().microseconds > 0.1);
    CHECK(op.choice(tokens.tokens).origin == "tuned in this process");
  }
  CHECK(parse_table_record(to_json_line(result.record)).ranges.size() == result.record.ranges.size());
  MESSAGE(to_json_line(result.record));
  MESSAGE("compile ", result.compile_seconds, " s, verify ", result.verify_seconds, " s, measure ",
          result.measure_seconds, " s");
}

TEST_CASE("tuning over folds knows the fastest of all") {
  const Runtime runtime = gpu();
  Operator op = runtime.rms_norm({.n = 2048});
  const TuneResult result = tune(op, {.tokens = {16}, .seconds = 2, .max_candidates = 4, .any_fold = true});
  REQUIRE(result.tokens.size() == 1);
  CHECK(result.rejected == 0);
  CHECK(result.tokens[0].best_any_fold.microseconds > 0);
  CHECK(result.tokens[0].best_any_fold.microseconds <= result.tokens[0].timings.front().microseconds);
}

TEST_CASE("a caller who stops gets what is known") {
  const Runtime runtime = gpu();
  Operator op = runtime.rms_norm({.n = 1000});
  const TuneResult result =
      tune(op, {.tokens = {1}, .seconds = 1, .max_candidates = 2, .progress = [](const TuneProgress& p) {
                  return p.stage != "measure";
                }});
  CHECK(result.tokens.empty());
  CHECK(result.record.ranges.empty());
  CHECK(op.choice(1).origin == "cost model");
}

TEST_CASE("copying and an empty kernel are measured") {
  const Runtime runtime = gpu();
  RuntimeImpl& impl = *runtime.impl();
  const Measurement empty = tools::measure_empty_kernel(impl, quick);
  const Measurement small = tools::measure_copy(impl, 1 << 16, quick), large = tools::measure_copy(impl, 1 << 28, quick);
  CHECK(empty.microseconds > 0);
  CHECK(small.microseconds > 0);
  CHECK(large.microseconds > small.microseconds);
  MESSAGE("empty kernel ", empty.microseconds, " us, copy of 64 KiB ", small.microseconds, " us, of 256 MiB ",
          large.microseconds, " us");
}

TEST_CASE("calls rotate over more than the cache, unless that would take too many") {
  const Runtime runtime = gpu();
  RuntimeImpl& impl = *runtime.impl();
  const RotatingCalls calls(impl, rms_norm({.n = 8192, .residual = true}), 64);
  const auto bytes = static_cast<double>(calls.calls()) * 4 * 64 * 8192 * 2;  // four bf16 tensors of 64 rows
  CHECK(bytes > 1.5 * static_cast<double>(runtime.device().l2_bytes));
  CHECK(RotatingCalls(impl, rms_norm({.n = 8}), 1).calls() == 8192);
}
