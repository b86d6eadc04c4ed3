// The CPU backend against the oracle: raw bytes, 0 differing.
#include <isofold/codegen/cpu_backend.hpp>
#include <isofold/codegen/operators.hpp>
#include <isofold/codegen/quantize.hpp>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/codegen/softmax.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <functional>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "cpu_pool.hpp"
#include "support/call.hpp"
#include "support/named_dtypes.hpp"

using namespace isofold;
using isofold::testing::Call;
using isofold::testing::CallOptions;
using isofold::testing::HostTensor;
using isofold::testing::hard_numbers;
using isofold::testing::takes_numbers;

namespace {

constexpr std::int64_t all_kinds = std::size(isofold::testing::all_row_kinds);
constexpr DType dtypes[] = {DType::bf16, DType::f16, DType::f32};

std::vector<CpuSchedule> schedules() {
  std::vector<CpuSchedule> result;
  for (int width : {4, 8, 16})
    for (bool streaming : {false, true}) result.push_back({.width = width, .streaming = streaming});
  return result;
}

std::vector<RmsNormOptions> variants(std::int64_t n, DType dtype) {
  const DType other = dtype == DType::f32 ? DType::bf16 : DType::f32;
  return {
      {.n = n, .dtype = dtype},
      {.n = n, .dtype = dtype, .weight = false, .eps = 0},
      {.n = n, .dtype = dtype, .weight_mode = WeightMode::after_cast},
      {.n = n, .dtype = dtype, .output_dtype = other, .weight_dtype = other, .weight_offset_one = true},
      {.n = n, .dtype = dtype, .residual = true},
      {.n = n, .dtype = dtype, .weight_dtype = other, .residual = true, .residual_dtype = other},
      {.n = n, .dtype = dtype, .residual = true, .residual_mode = ResidualMode::rounded_sum},
      {.n = n,
       .dtype = dtype,
       .output_dtype = DType::f16,
       .weight_mode = WeightMode::after_cast,
       .weight_offset_one = true,
       .residual = true,
       .residual_dtype = other,
       .residual_mode = ResidualMode::rounded_sum},
  };
}

Plan plan_of(const Spec& spec, const CpuSchedule& schedule) {
  return make_plan(spec, default_fold(spec), schedule, host_cpu_traits()).value();
}

/// What a kernel is called with: `in_place` of the outputs overwrite the input of the same index.
class Arguments {
 public:
  explicit Arguments(Call& call, std::size_t in_place = 0) {
    const Spec& spec = call.spec();
    for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
      inputs_.push_back(call.inputs()[i].data());
      if (has_stride(spec.inputs[i].extent)) strides_.push_back(call.inputs()[i].row_stride());
    }
    for (std::size_t i = 0; i < spec.outputs.size(); ++i) {
      HostTensor& tensor = i < in_place ? call.inputs()[i] : call.outputs()[i];
      outputs_.push_back(tensor.data());
      strides_.push_back(tensor.row_stride());
    }
  }

  void run(const CpuKernel& kernel, std::int64_t first_row, std::int64_t last_row) const {
    kernel(inputs_.data(), outputs_.data(), strides_.data(), first_row, last_row);
  }

 private:
  std::vector<const void*> inputs_;
  std::vector<void*> outputs_;
  std::vector<std::int64_t> strides_;
};

/// Empty when the kernel gives the oracle's bytes and writes nothing else.
std::string fault(Call& call, const Plan& plan, const CpuKernel& kernel) {
  call.reset_outputs();
  {
    const FloatEnvironment environment;
    Arguments(call).run(kernel, 0, call.tokens());
  }
  const std::string what = call.fault();
  return what.empty() ? what : fmt::format("{} | {}: {}", text(plan.spec()), text(plan.schedule()), what);
}

/// Runs check(0 .. count - 1), several at a time; the faults that were found.
std::vector<std::string> faults_of(int count, const std::function<std::string(int)>& check) {
  std::atomic<int> next = 0;
  std::vector<std::string> results(static_cast<std::size_t>(count));
  const auto work = [&] {
    for (int i = next++; i < count; i = next++) {
      try {
        results[static_cast<std::size_t>(i)] = check(i);
      } catch (const std::exception& error) {
        results[static_cast<std::size_t>(i)] = error.what();
      }
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < std::max(2u, std::thread::hardware_concurrency()); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  std::erase(results, std::string());
  return results;
}

void check_none(const std::vector<std::string>& faults) {
  CHECK(faults.size() == 0);
  for (std::size_t i = 0; i < std::min<std::size_t>(faults.size(), 5); ++i) MESSAGE(faults[i]);
}

}  // namespace

TEST_CASE("every schedule of every variant gives the oracle's bytes") {
  std::vector<RmsNormOptions> questions;  // every variant at some lengths of every dtype
  for (std::int64_t n :
       {1, 2, 3, 7, 8, 31, 64, 100, 255, 256, 257, 520, 1000, 1024, 4096, 5120, 8192, 16384, 65536})
    for (DType dtype : dtypes) {
      const std::vector<RmsNormOptions> all = variants(n, dtype);
      questions.push_back(all[(questions.size() + questions.size() / 24) % all.size()]);
    }
  check_none(faults_of(static_cast<int>(questions.size()), [&](int index) -> std::string {
    const Spec spec = with_reductions_shown(rms_norm(questions[static_cast<std::size_t>(index)]));
    Call call(spec, default_fold(spec), {.tokens = all_kinds, .stride_padding = index % 5, .seed = 5});
    for (const CpuSchedule& schedule : schedules()) {
      const Plan plan = plan_of(spec, schedule);
      if (std::string what = fault(call, plan, CpuKernel(plan)); !what.empty()) return what;
    }
    return {};
  }));
}

TEST_CASE("every length up to 520 at every pointer offset, between canaries") {
  check_none(faults_of(520 * 3, [&](int index) -> std::string {
    const std::int64_t n = index / 3 + 1;
    const DType dtype = dtypes[index % 3];
    const Spec spec = with_reductions_shown(rms_norm({.n = n, .dtype = dtype}));
    const int width = n <= 128 ? 4 << index / 6 % 3 : 8;
    const Plan plan = plan_of(spec, {.width = width, .streaming = n % 2 == 0});
    const CpuKernel kernel(plan);
    for (std::int64_t offset = 0; offset < 16; ++offset) {
      Call call(spec, plan.fold(),
                {.tokens = 2, .offset = offset, .seed = static_cast<std::uint64_t>(index + offset)});
      if (std::string what = fault(call, plan, kernel); !what.empty())
        return fmt::format("offset {}: {}", offset, what);
    }
    return {};
  }));
}

TEST_CASE("folds of other shapes than the default") {
  // Every fold meets every dtype and every width.
  const Fold folds[] = {{1, 1, 1},   {1, 1024, 1},  {2, 4, 8},  {4, 512, 2},
                        {16, 64, 4}, {16, 2, 1024}, {8, 16, 16}};
  std::vector<Plan> plans;
  for (const Fold& fold : folds)
    for (DType dtype : dtypes) {
      const Spec spec = with_reductions_shown(rms_norm({.n = dtype == DType::f16 ? 1000 : 4103, .dtype = dtype}));
      const int width = 4 << plans.size() * 4 / 3 % 3;
      plans.push_back(make_plan(spec, fold, CpuSchedule{.width = width}, host_cpu_traits()).value());
    }
  check_none(faults_of(static_cast<int>(plans.size()), [&](int index) {
    const Plan& plan = plans[static_cast<std::size_t>(index)];
    Call call(plan.spec(), plan.fold(), {.tokens = all_kinds, .seed = 3});
    const std::string what = fault(call, plan, CpuKernel(plan));
    return what.empty() ? what : text(plan.fold()) + ": " + what;
  }));
}

#if defined(__x86_64__)
TEST_CASE("a processor without fused multiply-add, where the kernel calls a function for it") {
  for (DType dtype : dtypes) {
    const Spec spec = rms_norm({.n = 300, .dtype = dtype, .residual = true});
    const Plan plan =
        make_plan(spec, default_fold(spec), CpuSchedule{.width = 4}, cpu_traits("x86-64")).value();
    Call call(spec, plan.fold(), {.tokens = all_kinds, .seed = 2});
    CHECK(fault(call, plan, CpuKernel(plan)) == "");
  }
}
#endif

TEST_CASE("other programs than RMSNorm") {
  const char* texts[] = {
      // A sum that is no product, of a value with a column and a constant in it.
      "biased N=777 (x: bf16[row], bias: f32[column]) { t = sum(add(fma(x, 2, bias), sqrt(3))); y: f32 = "
      "div(x, t) "
      "}",
      "rounded N=260 (x: f32[row]) { t = sum(f16(x)); y: f16 = mul(bf16(x), div(t, N)); other: bf16 = f16(x) "
      "}",
      "dot N=1000 (x: f16[row], weight: f16[column]) { t = sum(mul(x, weight)); y: bf16 = add(x, f16(t)) }",
      // Truth values and integers with names, used before and after sums.
      "shared N=515 (x: bf16[row], gain: f32[column], number: i32[token]) { inside = less(index, number); many = "
      "less(3i, number); pattern = bits(mul(x, gain)); total = sum(where(inside, x, 0)); below = less(x, total); high = "
      "reduce_max(where(below, x, total)); y: f32 = where(or(inside, many), from_bits(or(pattern, 1i)), where(below, high, "
      "gain)); t: f32 = where(many, total, high) }",
  };
  for (const char* program : texts) {
    const Spec spec = parse_spec(program);
    Call call(spec, default_fold(spec), {.tokens = all_kinds, .seed = 9});
    for (const CpuSchedule& schedule : schedules()) {
      const Plan plan = plan_of(spec, schedule);
      CHECK(fault(call, plan, CpuKernel(plan)) == "");
    }
  }
}

TEST_CASE("every named operator") {
  std::size_t number = 0;
  for (const NamedOperator& named : named_operators())
    for (const std::int64_t n : {1, 33, 777, 4100}) {
      const std::vector<DType> dtypes = isofold::testing::dtypes_of(named);
      const Spec spec = with_reductions_shown(named.make(n, dtypes[number++ % dtypes.size()]));
      CAPTURE(text(spec));
      Call call(spec, default_fold(spec),
                {.tokens = all_kinds, .offset = static_cast<std::int64_t>(number % 3), .stride_padding = static_cast<std::int64_t>(number % 2), .seed = 9});
      for (const CpuSchedule& schedule : schedules()) {
        const Plan plan = plan_of(spec, schedule);
        CHECK(fault(call, plan, CpuKernel(plan)) == "");
      }
    }
}

TEST_CASE("scales, temperatures and sinks of every kind") {
  std::vector<Spec> specs;
  for (const std::int64_t n : {33, 777}) {
    for (const NamedOperator& named : named_operators()) {
      Spec spec = named.make(n, dtypes[specs.size() % 3]);
      if (takes_numbers(spec)) specs.push_back(std::move(spec));
    }
    const Quantize quantize{.dtype = DType::i8, .scale_input = true};
    specs.push_back(rms_norm({.n = n, .quantize = quantize}));
    specs.push_back(silu_and_mul_quant({.n = n, .dtype = DType::f32, .quantize = quantize}));
    specs.push_back(softmax({.n = n, .scale = 0.5f, .temperature = true, .length = true, .sink = true}));
    specs.push_back(softmax({.n = n, .dtype = DType::f32, .log = true, .temperature = true}));
  }
  check_none(faults_of(static_cast<int>(specs.size()), [&](int index) -> std::string {
    const Spec spec = with_reductions_shown(specs[static_cast<std::size_t>(index)]);
    std::vector<Call> calls;  // a scalar is one number in each
    for (std::uint64_t seed = 0; seed < hard_numbers.size(); ++seed)
      calls.emplace_back(spec, default_fold(spec), CallOptions{.tokens = all_kinds, .seed = seed, .numbers = hard_numbers});
    for (const CpuSchedule& schedule : schedules()) {
      const Plan plan = plan_of(spec, schedule);
      const CpuKernel kernel(plan);
      for (Call& call : calls)
        if (std::string what = fault(call, plan, kernel); !what.empty()) return fmt::format("seed {}: {}", &call - calls.data(), what);
    }
    return {};
  }));
}

TEST_CASE("outputs may overwrite inputs") {
  for (ResidualMode mode : {ResidualMode::f32_sum, ResidualMode::rounded_sum})
    for (const CpuSchedule& schedule : schedules()) {
      for (DType dtype : {schedule.streaming ? DType::bf16 : DType::f32, DType::f16}) {
        const Spec spec = rms_norm({.n = 1003, .dtype = dtype, .residual = true, .residual_mode = mode});
        const Plan plan = plan_of(spec, schedule);
        Call call(spec, plan.fold(), {.tokens = all_kinds, .stride_padding = 5});
        const FloatEnvironment environment;
        Arguments(call, 2).run(CpuKernel(plan), 0, call.tokens());
        for (std::size_t i = 0; i < 2; ++i) {
          CHECK(difference(call.inputs()[i], call.expected()[i]) == "");
          CHECK(call.inputs()[i].broken_canary() == "");
        }
      }
    }
}

TEST_CASE("rows alone, in ranges and shared by threads") {
  const Spec spec = rms_norm({.n = 520, .residual = true});
  const Plan plan = plan_of(spec, {.width = 8});
  const CpuKernel kernel(plan);
  Call call(spec, plan.fold(), {.tokens = 100});
  CpuPool pool(3);
  for (std::int64_t grain : {1, 7, 50, 100}) {
    call.reset_outputs();
    const Arguments arguments(call);
    pool.parallel_for(call.tokens(), grain,
                      [&](std::int64_t first, std::int64_t last) { arguments.run(kernel, first, last); });
    CHECK(call.fault() == "");
  }
  call.reset_outputs();
  Arguments(call).run(kernel, 4, 4);
  CHECK(difference(call.outputs()[0], call.expected()[0]) != "");  // an empty range writes nothing
  CHECK(call.outputs()[0].broken_canary() == "");
}

#if defined(__x86_64__)
TEST_CASE("the caller's rounding mode and flush bits neither matter nor change") {
  constexpr unsigned flush_and_truncate = 0x1f80 | 0x8040 | 0x6000;
  for (DType dtype : dtypes) {
    const Spec spec = rms_norm({.n = 256, .dtype = dtype});
    const Plan plan = plan_of(spec, {.width = 8});
    const CpuKernel kernel(plan);
    Call call(spec, plan.fold(), {.tokens = 2 * all_kinds});
    const Arguments arguments(call);
    CpuPool pool(2);
    const unsigned before = _mm_getcsr();
    _mm_setcsr(flush_and_truncate);
    pool.parallel_for(call.tokens(), 1,
                      [&](std::int64_t first, std::int64_t last) { arguments.run(kernel, first, last); });
    const unsigned after = _mm_getcsr();
    _mm_setcsr(before);
    CHECK(after == flush_and_truncate);
    CHECK(call.fault() == "");
  }
}
#endif

TEST_CASE("conversions: all 2^16 patterns widened, 2^24 of binary32 narrowed") {
  static constexpr std::int64_t n = 65536;
  const auto run = [](const CpuKernel& kernel, const void* x, void* y) {
    std::vector<float> z(n);
    const void* inputs[] = {x};
    void* outputs[] = {y, z.data()};
    const std::int64_t strides[] = {n, n, n};
    const FloatEnvironment environment;
    kernel(inputs, outputs, strides, 0, 1);
  };
  const auto kernel_of = [](DType from, DType to, int width) {
    const std::string program =
        fmt::format("convert N={} (x: {}[row]) {{ t = sum(x); y: {} = x; z: f32 = mul(x, t) }}", n,
                    name_of(from), name_of(to));
    return CpuKernel(plan_of(parse_spec(program), {.width = width}));
  };
  for (DType dtype : {DType::bf16, DType::f16})
    for (int width : {4, 8, 16}) {
      CAPTURE(name_of(dtype));
      CAPTURE(width);
      std::vector<std::uint16_t> halves(n);
      for (std::int64_t i = 0; i < n; ++i)
        halves[static_cast<std::size_t>(i)] = static_cast<std::uint16_t>(i);
      std::vector<std::uint32_t> widened(n);
      run(kernel_of(dtype, DType::f32, width), halves.data(), widened.data());
      int wrong = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const float value = dtype == DType::bf16 ? from_bf16(halves[i]) : from_f16(halves[i]);
        wrong += widened[i] != (value != value ? 0x7fffffff : std::bit_cast<std::uint32_t>(value));
      }
      CHECK(wrong == 0);

      // Every sign, exponent and leading fraction; the rest of the fraction at and around the ties, and
      // scattered.
      const CpuKernel narrow = kernel_of(DType::f32, dtype, width);
      std::vector<std::uint32_t> words(n);
      for (std::uint32_t turn = 0; turn < (width == 8 ? 256 : 8); ++turn) {
        constexpr std::uint32_t hard[] = {0, 1, 0x0fff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001};
        const std::uint32_t low = turn < 8 ? hard[turn] : turn * 0x9e35 & 0xffff;
        for (std::uint32_t i = 0; i < n; ++i) words[i] = i << 16 | low;
        run(narrow, words.data(), halves.data());
        for (std::size_t i = 0; i < n; ++i) {
          const float value = std::bit_cast<float>(words[i]);
          wrong += halves[i] != (dtype == DType::bf16 ? to_bf16(value) : to_f16(value));
        }
      }
      CHECK(wrong == 0);
    }
}
