// Properties of Spec, Fold, Schedule and Plan over random ones.
#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/cuda_emitter.hpp>
#include <isofold/codegen/interpreter.hpp>
#include <isofold/codegen/plan.hpp>
#include <isofold/error.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/call.hpp"
#include "support/random_plan.hpp"
#include "support/reference_rounding.hpp"

using namespace isofold;
using isofold::testing::Call;
using isofold::testing::HostTensor;

namespace {

std::uint64_t choose(std::uint64_t below) { return *rc::gen::inRange<std::uint64_t>(0, below); }
Spec random_spec(std::int64_t longest) { return parse_spec(testing::random_spec_text(choose, longest)); }

/// Evaluates a Spec in another way than the interpreter: by recursion from the outputs, one element at a
/// time, in binary64 with a rounding after each operation (which is exact for one operation on binary32
/// values).
class Recursion {
 public:
  Recursion(const Spec& spec, const Fold& fold, const Call& call, std::int64_t row)
      : spec_(spec), fold_(fold), inputs_(call.input_views()), row_(row) {}

  float value(int index, std::int64_t element) {
    const Node& node = spec_.nodes[static_cast<std::size_t>(index)];
    const auto operand = [&](int operand) { return static_cast<double>(value(operand, element)); };
    switch (node.op) {
      case Op::input:
        return input(node.tensor, element);
      case Op::constant:
        return node.value;
      case Op::add:
        return static_cast<float>(operand(node.a) + operand(node.b));
      case Op::mul:
        return static_cast<float>(operand(node.a) * operand(node.b));
      case Op::div:
        return static_cast<float>(operand(node.a) / operand(node.b));
      case Op::sqrt:
        return static_cast<float>(std::sqrt(operand(node.a)));
      case Op::fma:
        return std::fma(value(node.a, element), value(node.b, element), value(node.c, element));
      case Op::round:
        return rounded(value(node.a, element), node.dtype);
      case Op::sum:
        return sum(node);
    }
    return 0;
  }

  std::uint32_t output_bits(const Output& output, std::int64_t element) {
    const float result = value(output.value, element);
    if (output.dtype == DType::f32)
      return std::isnan(result) ? 0x7fffffff : std::bit_cast<std::uint32_t>(result);
    return format(output.dtype).nearest(result);
  }

 private:
  using Part = std::optional<float>;

  static const testing::SmallFloat& format(DType dtype) {
    return dtype == DType::bf16 ? testing::bf16_format : testing::f16_format;
  }
  static float widened(std::uint16_t bits, DType dtype) {
    if (format(dtype).is_nan(bits)) return std::nanf("");
    if (format(dtype).is_infinite(bits)) return bits & 0x8000 ? -INFINITY : INFINITY;
    return static_cast<float>(format(dtype).value_of(bits));
  }
  static float rounded(float value, DType dtype) {
    return dtype == DType::f32 ? value : widened(format(dtype).nearest(value), dtype);
  }
  float input(int tensor, std::int64_t element) const {
    const Tensor& t = spec_.inputs[static_cast<std::size_t>(tensor)];
    const ConstView& view = inputs_[static_cast<std::size_t>(tensor)];
    const std::int64_t place = element + (t.extent == Extent::row ? row_ * view.row_stride : 0);
    if (t.dtype == DType::f32) return static_cast<const float*>(view.data)[place];
    return widened(static_cast<const std::uint16_t*>(view.data)[place], t.dtype);
  }

  static Part joined(Part a, Part b) {
    if (!a || !b) return a ? a : b;
    return static_cast<float>(static_cast<double>(*a) + static_cast<double>(*b));
  }
  /// The sum as every element sees it, computed once.
  float sum(const Node& node) {
    Part& known = sums_[&node];
    if (!known) {
      const std::int64_t per_segment = leaves_per_segment(fold_, spec_.n);
      std::vector<Part> chains(static_cast<std::size_t>(fold_.segments * fold_.lanes));
      for (std::int64_t element = 0; element < spec_.n; ++element) {
        const std::int64_t leaf = element / fold_.leaf;
        join(chains[static_cast<std::size_t>(leaf / per_segment * fold_.lanes +
                                             leaf % per_segment % fold_.lanes)],
             node, element);
      }
      known = segments(chains, 0, fold_.segments).value();
    }
    return *known;
  }
  void join(Part& chain, const Node& node, std::int64_t element) {
    const Node& summand = spec_.nodes[static_cast<std::size_t>(node.a)];
    if (summand.op == Op::mul && chain)
      chain = std::fma(value(summand.a, element), value(summand.b, element), *chain);
    else
      chain = joined(chain, value(node.a, element));
  }
  Part segments(const std::vector<Part>& chains, int first, int count) {
    return count == 1 ? lanes(chains, first, 0, 1)
                      : joined(segments(chains, first, count / 2), segments(chains, first + count / 2, count / 2));
  }
  /// What lane `lane` holds when `held` lanes of the segment are left.
  Part lanes(const std::vector<Part>& chains, int segment, int lane, int held) {
    if (held == fold_.lanes) return chains[static_cast<std::size_t>(segment * fold_.lanes + lane)];
    return joined(lanes(chains, segment, lane, 2 * held), lanes(chains, segment, lane + held, 2 * held));
  }

  const Spec& spec_;
  const Fold& fold_;
  std::vector<ConstView> inputs_;
  std::int64_t row_;
  std::map<const Node*, Part> sums_;  // references stay valid while another sum is added
};

}  // namespace

TEST_CASE("a Spec's text parses back") {
  CHECK(rc::check([] {
    const Spec spec = random_spec(max_row_length);
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
    const Spec spec = random_spec(max_row_length);
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
    const GpuSchedule schedule = testing::random_gpu_schedule(choose);
    static const char* archs[] = {"sm_80", "sm_90", "sm_100"};
    const DeviceTraits device = traits_of_arch(archs[choose(3)]).value();
    const PlanResult result = make_plan(spec, fold, schedule, device);
    if (!result) {
      RC_ASSERT(!result.broken_rule().empty());
      RC_ASSERT_THROWS_AS(result.value(), UsageError);
      return;
    }
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
    RC_ASSERT(source.entries.size() == (schedule.split == Split::workspace ? 2u : 1u));
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
      Recursion recursion(spec, fold, call, row);
      for (std::size_t i = 0; i < spec.outputs.size(); ++i)
        for (std::int64_t element = 0; element < spec.n; ++element)
          RC_ASSERT(call.expected()[i].bits(row, element) == recursion.output_bits(spec.outputs[i], element));
    }
  }));
}
