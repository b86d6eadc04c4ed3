// The tuner and its bit gate on the CPU backend; tests/gpu has the same on a GPU.
#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/cost_model.hpp>
#include <isofold/codegen/quantize.hpp>
#include <isofold/codegen/softmax.hpp>
#include <isofold/tuner.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "bench_timing.hpp"
#include "bit_gate.hpp"
#include "launch_table.hpp"
#include "operator_impl.hpp"
#include "runtime_impl.hpp"

using namespace isofold;

namespace {

Runtime cpu() { return Runtime({.device = "cpu", .cache_folder = "off", .tables = {}}); }

/// Runs the right kernel and then does harm to one value.
struct Harmful final : Kernel {
  Harmful(KernelStore& store, const Plan& plan, std::size_t parameter, std::int64_t element,
          std::uint16_t flip)
      : Kernel(plan, store.image(plan)),
        right(store.load(plan, store.image(plan))),
        parameter(parameter),
        element(element),
        flip(flip) {}
  void launch(CUstream_st* stream, const Parameters& parameters, std::int64_t tokens,
              void* workspace) const override {
    right->launch(stream, parameters, tokens, workspace);
    reinterpret_cast<std::uint16_t*>(
        parameters.values[parameter])[element < 0 ? tokens * plan().spec().n : element] ^= flip;
  }
  std::unique_ptr<const Kernel> right;
  std::size_t parameter;
  std::int64_t element;
  std::uint16_t flip;
};

/// Runs the right kernel and then does harm to the rows for which an input has one number.
struct HarmfulForNumber final : Kernel {
  HarmfulForNumber(std::unique_ptr<const Kernel> kernel, std::size_t input, float number)
      : Kernel(kernel->plan(), std::make_shared<const KernelImage>(kernel->image())), right(std::move(kernel)), input(input), number(number) {}
  void launch(CUstream_st* stream, const Parameters& parameters, std::int64_t tokens, void* workspace) const override {
    right->launch(stream, parameters, tokens, workspace);
    const Spec& spec = plan().spec();
    const auto* numbers = reinterpret_cast<const float*>(parameters.values[input]);
    const std::int64_t row_bytes = row_elements(spec, spec.outputs[0].extent) * static_cast<std::int64_t>(size_of(spec.outputs[0].dtype));
    for (std::int64_t token = 0; token < tokens; ++token)
      if (std::bit_cast<std::uint32_t>(numbers[row_used(spec.inputs[input], token)]) == std::bit_cast<std::uint32_t>(number))
        reinterpret_cast<std::uint8_t*>(parameters.values[spec.inputs.size()])[token * row_bytes] ^= 1;
  }
  std::unique_ptr<const Kernel> right;
  std::size_t input;
  float number;
};

}  // namespace

TEST_CASE("the bit gate tells a tree from its neighbours") {
  const Runtime runtime = cpu();
  KernelStore& store = runtime.impl()->store();
  for (const bool residual : {false, true})
    for (const DType dtype : {DType::bf16, DType::f16, DType::f32})
      for (const std::int64_t n : {64, 512, 4096, 8192}) {
        const Spec spec = with_reductions_shown(rms_norm({.n = n, .dtype = dtype, .residual = residual}));
        const Fold right = default_fold(spec);
        BitGate gate(store.target(), spec, right);
        const auto passes = [&](const Fold& fold) {
          const Plan plan = make_plan(spec, fold, CpuSchedule{.width = 8}, runtime.device()).value();
          return gate.check(*store.load(plan, store.image(plan))).empty();
        };
        CHECK(passes(right));
        for (const Fold& wrong : {Fold{right.leaf, right.lanes, 2 * right.segments}, Fold{right.leaf, right.lanes / 2, right.segments},
                                  Fold{right.leaf / 2, right.lanes, right.segments}}) {
          CAPTURE(text(spec));
          CAPTURE(text(wrong));
          CHECK(!passes(wrong));
        }
      }
}

TEST_CASE("the bit gate sees one wrong bit and one byte too many") {
  const Runtime runtime = cpu();
  KernelStore& store = runtime.impl()->store();
  const Operator op = runtime.rms_norm({.n = 96, .residual = true});
  const Plan plan = op.plan(1);
  BitGate gate(store.target(), op.spec(), op.fold());
  CHECK(gate.check(*store.load(plan, store.image(plan))) == "");
  const std::size_t y = 3, sum = 4;  // parameters behind x, residual, weight
  CHECK(gate.check(Harmful(store, plan, y, 95, 1)) ==
        text(plan.schedule()) + " over 1 token: y: row 0 differs from the oracle, first at element 95");
  CHECK(gate.check(Harmful(store, plan, sum, 7, 0x8000)) ==
        text(plan.schedule()) +
            " over 1 token: residual_out: row 0 differs from the oracle, first at element 7");
  CHECK(gate.check(Harmful(store, plan, sum, -1, 1)) ==
        text(plan.schedule()) + " over 1 token: residual_out: bytes behind the last row were written");
}

TEST_CASE("the bit gate sees what is wrong for one scale, temperature or sink alone") {
  const Runtime runtime = cpu();
  KernelStore& store = runtime.impl()->store();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for (const Spec& spec : {rms_norm({.n = 96, .quantize = Quantize{.dtype = DType::i8, .scale_input = true}}),  // one scale in all
                           softmax({.n = 96, .temperature = true, .sink = true}),                         // one per token
                           parse_spec("both N=40 (x: bf16[row 3], level: f32[token], gain: f32[scalar]) { y: bf16[row 3] = fma(x, gain, level) }")}) {
    CAPTURE(text(spec));
    const Plan plan = make_plan(spec, default_fold(spec), CpuSchedule{.width = 8}, runtime.device()).value();
    BitGate gate(store.target(), spec, plan.fold());
    CHECK(gate.check(*store.load(plan, store.image(plan))) == "");
    for (std::size_t input = 0; input < spec.inputs.size(); ++input) {
      if (spec.inputs[input].dtype != DType::f32 || (spec.inputs[input].extent != Extent::token && spec.inputs[input].extent != Extent::scalar)) continue;
      for (const float number : {0.0f, -0.0f, std::numeric_limits<float>::quiet_NaN(), infinity, -infinity, std::numeric_limits<float>::denorm_min(),
                                 std::numeric_limits<float>::max(), -1.0f}) {
        CAPTURE(number);
        CHECK(gate.check(HarmfulForNumber(store.load(plan, store.image(plan)), input, number)) != "");
      }
    }
  }
}

TEST_CASE("tuning measures every token count and is used from then on") {
  const Runtime runtime = cpu();
  Operator op = runtime.rms_norm({.n = 256, .residual = true});
  op.prepare_up_to(100);
  CHECK(op.choice(1).origin == "cost model");
  std::vector<std::string> stages;
  const TuneResult result =
      tune(op, {.tokens = {1, 40}, .seconds = 5, .progress = [&](const TuneProgress& progress) {
                  CHECK(progress.done <= progress.total);
                  if (stages.empty() || stages.back() != progress.stage) stages.push_back(progress.stage);
                  return true;
                }});
  CHECK(stages == std::vector<std::string>{"compile", "verify", "measure"});
  CHECK(result.candidates >= 2);
  CHECK(result.rejected == 0);
  REQUIRE(result.tokens.size() == 2);
  for (const TokenResult& tokens : result.tokens) {
    REQUIRE(!tokens.timings.empty());
    CHECK(tokens.timings.front().microseconds > 0);
    CHECK(tokens.timings.front().fold == op.fold());
    CHECK(op.choice(tokens.tokens).origin == "tuned in this process");
  }
  CHECK(op.choice(1).schedule == text(result.record.ranges.front().schedule));
  CHECK(parse_table_record(to_json_line(result.record)).spec == text(op.spec()));
}

TEST_CASE("tuning over folds knows the fastest of all") {
  const Runtime runtime = cpu();
  Operator op = runtime.rms_norm({.n = 512});
  const TuneResult result = tune(op, {.tokens = {8}, .seconds = 0.5, .max_candidates = 1, .any_fold = true});
  REQUIRE(result.tokens.size() == 1);
  CHECK(result.rejected == 0);
  CHECK(result.tokens[0].timings.size() == 1);
  CHECK(result.tokens[0].best_any_fold.microseconds > 0);
  CHECK(result.tokens[0].best_any_fold.microseconds <= result.tokens[0].timings.front().microseconds);
}

TEST_CASE("out of time, what was launched before has had its turn, and what had none is counted") {
  const Runtime runtime = cpu();
  Operator op = runtime.rms_norm({.n = 4096});
  const std::vector<Plan> plans = candidates(op.spec(), op.fold(), runtime.device());
  const Plan& unlikely = plans[by_cost(plans, 1).back()];
  const TableRecord record{.spec = text(op.spec()),
                           .fold = text(op.fold()),
                           .device = text(runtime.device()),
                           .environment = "",
                           .ranges = {{.first_tokens = 1, .schedule = unlikely.schedule(), .microseconds = 1, .measured_tokens = 1}},
                           .origin = "a test"};
  for (const int most : {0, 1}) {
    op.impl()->use(launch_ranges(record, op.spec(), op.fold(), runtime.device(), record.origin));
    REQUIRE(op.choice(1).schedule == text(unlikely.schedule()));
    const TuneResult result = tune(op, {.tokens = {1}, .seconds = 1e-6, .max_candidates = most, .any_fold = true});
    REQUIRE(result.tokens.size() == 1);
    const std::vector<Timing>& timings = result.tokens[0].timings;
    CHECK(std::any_of(timings.begin(), timings.end(), [&](const Timing& timing) { return timing.schedule == unlikely.schedule(); }));
    if (most == 0) CHECK(result.tokens[0].not_raced > 0);
  }
}

TEST_CASE("a caller who stops gets what is known") {
  const Runtime runtime = cpu();
  Operator op = runtime.rms_norm({.n = 256});
  for (const char* stage : {"compile", "verify", "measure"}) {
    const TuneResult result =
        tune(op, {.tokens = {1}, .seconds = 0.1, .progress = [&](const TuneProgress& progress) {
                    return progress.stage != stage;
                  }});
    CHECK(result.tokens.empty());
    CHECK(result.record.ranges.empty());
    CHECK(op.choice(1).origin == "cost model");
  }
}

TEST_CASE("options that make no sense are refused") {
  const Runtime runtime = cpu();
  Operator op = runtime.rms_norm({.n = 256});
  CHECK_THROWS_WITH_AS(tune(op, {.tokens = {}}), "tune: no token counts were given", UsageError);
  CHECK_THROWS_WITH_AS(tune(op, {.tokens = {0}}),
                       "tune: token counts must ascend from at least 1, 0 follows 0", UsageError);
  CHECK_THROWS_AS(tune(op, {.tokens = {4, 4}}), UsageError);
  CHECK_THROWS_AS(tune(op, {.tokens = {1}, .seconds = 0}), UsageError);
  CHECK_THROWS_AS(tune(op, {.tokens = {1}, .seconds = std::nan("")}), UsageError);
  CHECK_THROWS_AS(tune(op, {.tokens = {1}, .seconds = std::numeric_limits<double>::infinity()}), UsageError);
  CHECK_THROWS_AS(tune(op, {.tokens = {1}, .max_candidates = -1}), UsageError);
}

TEST_CASE("a summary is the median and the spread of the middle half") {
  const Measurement even = summary({4, 1, 3, 2});
  CHECK(even.microseconds == 2.5);
  CHECK(even.spread == doctest::Approx(1.5 / 2.5));
  CHECK(even.samples == 4);
  CHECK(summary({7}).microseconds == 7);
  CHECK(summary({7}).spread == 0);
  CHECK(summary({}).samples == 0);
}
