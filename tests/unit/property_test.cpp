// Properties of Spec, Fold, Schedule and Plan over random ones.
#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/cuda_emitter.hpp>
#include <isofold/codegen/interpreter.hpp>
#include <isofold/codegen/plan.hpp>
#include <isofold/error.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <string>
#include <vector>

#include "support/call.hpp"
#include "support/random_plan.hpp"
#include "recursion.hpp"

using namespace isofold;
using isofold::testing::Call;
using isofold::testing::HostTensor;

namespace {

std::uint64_t choose(std::uint64_t below) { return *rc::gen::inRange<std::uint64_t>(0, below); }
Spec random_spec(std::int64_t longest) { return parse_spec(testing::random_spec_text(choose, longest)); }

}  // namespace

TEST_CASE("a Spec's text parses back") {
  CHECK(rc::check([] {
    const Spec spec = random_spec(300000);
    RC_ASSERT(parse_spec(text(spec)) == spec);
    RC_ASSERT(text(parse_spec(text(spec))) == text(spec));
  }));
}

TEST_CASE("a text with a mistake is refused, or means what it then says") {
  CHECK(rc::check([] {
    std::string changed = testing::random_spec_text(choose, 100);
    static const std::string alphabet = "(){}[]:;,=. -+abdfmnqrsuvx_NE0129\n";
    for (std::uint64_t edits = 1 + choose(3); edits > 0; --edits) {
      const std::size_t place = choose(changed.size());
      const char letter = alphabet[choose(alphabet.size())];
      if (choose(2) == 0)
        changed[place] = letter;
      else
        changed.insert(place, 1, letter);
    }
    try {
      const Spec spec = parse_spec(changed);
      RC_ASSERT(parse_spec(text(spec)) == spec);
    } catch (const UsageError& error) {
      RC_ASSERT(!std::string(error.what()).empty());
    }
  }));
}

TEST_CASE("a Fold's text parses back, and only a Fold within the rules has one") {
  CHECK(rc::check([] {
    const Fold fold = testing::random_fold(choose, 1024);
    RC_ASSERT(broken_rule(fold).empty());
    RC_ASSERT(parse_fold(text(fold)) == fold);
  }));
  CHECK(rc::check([](int leaf, int lanes, int segments) {
    const Fold fold{leaf, lanes, segments};
    const auto sound = [](int value, int most) {
      return value >= 1 && value <= most && std::has_single_bit(static_cast<unsigned>(value));
    };
    const bool expected = sound(leaf, max_leaf) && sound(lanes, max_lanes) && sound(segments, max_segments);
    RC_ASSERT(broken_rule(fold).empty() == expected);
    if (!expected) RC_ASSERT_THROWS_AS(parse_fold(text(fold)), UsageError);
  }));
}

TEST_CASE("the default fold covers every row length and is a function of the Spec") {
  CHECK(rc::check([] {
    const Spec spec = random_spec(300000);
    const Fold fold = default_fold(spec);
    RC_ASSERT(broken_rule(fold).empty());
    RC_ASSERT(fold == default_fold(parse_spec(text(spec))));
    RC_ASSERT(leaves_per_segment(fold, spec.n) * fold.segments * fold.leaf >= spec.n);
  }));
}

TEST_CASE("a Schedule's text parses back") {
  CHECK(rc::check([] {
    const Schedule gpu = testing::random_gpu_schedule(choose);
    RC_ASSERT(parse_schedule(text(gpu)) == gpu);
    const Schedule cpu = CpuSchedule{.width = 4 << choose(3), .streaming = choose(2) == 1};
    RC_ASSERT(parse_schedule(text(cpu)) == cpu);
  }));
}

TEST_CASE("equal bits ids mean equal Spec and Fold") {
  CHECK(rc::check([] {
    const Spec spec = random_spec(1000);
    const Fold fold = testing::random_fold(choose, 64);
    Spec other = parse_spec(text(spec));
    Fold other_fold = fold;
    switch (choose(5)) {
      case 0:
        break;
      case 1:
        other_fold.lanes = fold.lanes == 1 ? 2 : fold.lanes / 2;
        break;
      case 2:
        other.n = spec.n + 1;
        break;
      case 3:
        other.inputs[0].dtype = other.inputs[0].dtype == DType::f16 ? DType::bf16 : DType::f16;
        break;
      case 4:
        other.outputs[0].dtype = other.outputs[0].dtype == DType::f16 ? DType::bf16 : DType::f16;
        break;
    }
    RC_ASSERT((bits_id(spec, fold) == bits_id(other, other_fold)) == (spec == other && fold == other_fold));
  }));
}

TEST_CASE(
    "make_plan names a rule, or gives a Plan whose text parses back, whose shape fits and that is emitted") {
  int plans = 0;
  CHECK(rc::check([&] {
    const Spec spec = random_spec(choose(2) == 0 ? 300 : 9000);
    const Fold fold = choose(2) == 0 ? default_fold(spec) : testing::random_fold(choose, 256);
    static const char* archs[] = {"sm_80", "sm_90", "sm_100"};
    const DeviceTraits device = traits_of_arch(archs[choose(3)]).value();
    GpuSchedule schedule = testing::random_gpu_schedule(choose);
    PlanResult result = make_plan(spec, fold, schedule, device);
    for (int more = 0; !result && more < 20; ++more) {
      RC_ASSERT(!result.broken_rule().empty());
      RC_ASSERT_THROWS_AS(result.value(), UsageError);
      schedule = testing::random_gpu_schedule(choose);
      result = make_plan(spec, fold, schedule, device);
    }
    if (!result) return;
    ++plans;
    const Plan& plan = result.value();
    RC_ASSERT(plan == make_plan(parse_spec(text(plan.spec())), parse_fold(text(plan.fold())),
                                parse_schedule(text(plan.schedule())), device)
                          .value());
    const GpuShape shape = gpu_shape(plan);
    RC_ASSERT(shape.warps_per_row * schedule.blocks_per_row * shape.segments_per_warp == fold.segments);
    RC_ASSERT(shape.threads_per_segment * shape.lanes_per_thread == fold.lanes);
    RC_ASSERT(shape.rounds * fold.lanes >= leaves_per_segment(fold, spec.n));
    RC_ASSERT(shape.shared_bytes <= device.shared_per_block);
    const std::int64_t tokens = 1 + static_cast<std::int64_t>(choose(1'000'000));
    RC_ASSERT(std::int64_t{grid_blocks(plan, tokens)} / schedule.blocks_per_row * schedule.rows_per_block >=
              tokens);
    RC_LOG() << text(plan) << '\n';
    const CudaSource source = emit_cuda(plan);
    RC_ASSERT(source.text == emit_cuda(plan).text);
    RC_ASSERT(source.entries.size() == (schedule.split == Split::workspace ? passes(spec).size() + 1 : 1u));
  }));
  CHECK(plans > 0);
}

TEST_CASE("candidates are legal, different, and in an order that stays") {
  CHECK(rc::check([] {
    const Spec spec = random_spec(5000);
    const DeviceTraits device = traits_of_arch(choose(2) == 0 ? "sm_80" : "sm_90").value();
    const int limit = 1 << choose(4);
    const std::vector<Plan> plans = candidates(spec, default_fold(spec), device, limit);
    RC_ASSERT(!plans.empty());
    RC_ASSERT(plans == candidates(spec, default_fold(spec), device, limit));
    for (std::size_t i = 0; i < plans.size(); ++i) {
      RC_ASSERT(plans[i].gpu().vector <= limit);
      for (std::size_t j = 0; j < i; ++j) RC_ASSERT(!(plans[i] == plans[j]));
    }
  }));
}

TEST_CASE("the interpreter agrees with a recursion over the same tree") {
  CHECK(rc::check([] {
    const Spec spec = random_spec(60);
    const Fold fold = testing::random_fold(choose, 16);
    const std::int64_t tokens = 9;  // rows of every kind
    const Call call(spec, fold, {.tokens = tokens, .stride_padding = 1, .seed = choose(1000)});
    for (std::int64_t row = 0; row < tokens; ++row) {
      testing::Recursion recursion(spec, fold, call, row);
      for (std::size_t i = 0; i < spec.outputs.size(); ++i)
        for (std::int64_t element = 0; element < row_elements(spec, spec.outputs[i].extent); ++element)
          RC_ASSERT(call.expected()[i].bits(row / spec.outputs[i].groups, row % spec.outputs[i].groups * spec.n + element) == recursion.output_bits(spec.outputs[i], element));
    }
  }));
}
