// Operators on the CPU backend: the same checks that tests/gpu makes on a GPU.
#include <isofold/isofold.hpp>

#include <isofold/codegen/digest.hpp>
#include <isofold/codegen/interpreter.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <numeric>
#include <thread>
#include <vector>

#include "../gpu/operator_checks.hpp"
#include "kernel_store.hpp"
#include "probe.hpp"
#include "runtime_impl.hpp"
#include "support/call.hpp"

using namespace isofold;
using namespace isofold::testing;

namespace {

Runtime cpu() { return Runtime({.device = "cpu", .cache_folder = "off", .tables = {}}); }

}  // namespace

TEST_CASE("the probe's digests are what the oracle computes") {
  const Plan plan = probe_plan(*traits_of_arch("sm_90"));
  const Spec& spec = plan.spec();
  const auto inputs = probe_inputs();
  std::vector<ConstView> input_views;
  for (const auto& bytes : inputs) input_views.push_back({bytes.data(), spec.n});
  std::vector<std::vector<std::byte>> outputs;
  std::vector<View> output_views;
  for (const Output& output : spec.outputs)
    outputs.emplace_back(static_cast<std::size_t>(probe_tokens * row_elements(spec, output.extent)) * size_of(output.dtype));
  for (std::size_t i = 0; i < outputs.size(); ++i)
    output_views.push_back({outputs[i].data(), row_elements(spec, spec.outputs[i].extent)});
  interpret(spec, plan.fold(), probe_tokens, input_views, output_views);
  REQUIRE(probe_digests().size() == outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    INFO(spec.outputs[i].name);
    CHECK(digest({reinterpret_cast<const char*>(outputs[i].data()), outputs[i].size()}) ==
          probe_digests()[i]);
  }
}

TEST_CASE("a device whose bits are wrong is refused by name of the operation") {
  /// Multiplies by flushing: what a device with flush-to-zero would do to one output.
  struct Wrong final : Kernel {
    using Kernel::Kernel;
    std::shared_ptr<const Kernel> right;
    void launch(CUstream_st* stream, const Parameters& parameters, std::int64_t tokens,
                void* workspace) const override {
      right->launch(stream, parameters, tokens, workspace);
      const std::size_t product = plan().spec().inputs.size() + 2;
      auto* values = reinterpret_cast<std::uint32_t*>(parameters.values[product]);
      for (std::int64_t i = 0; i < tokens * plan().spec().n; ++i)
        if ((values[i] & 0x7f800000) == 0) values[i] &= 0x80000000;
    }
  };
  const Runtime runtime = cpu();
  KernelStore& store = runtime.impl()->store();
  const Plan plan = probe_plan(runtime.device());
  Wrong wrong(plan, store.image(plan));
  wrong.right = store.load(plan, store.image(plan));
  CHECK_NOTHROW(check_probe(*wrong.right, store.target()));
  std::string message;
  try {
    check_probe(wrong, store.target());
  } catch (const UsageError& error) {
    message = error.what();
  }
  CHECK(message.find("fails the numerics probe: other bits than IEEE 754 asks for in product;") !=
        std::string::npos);
}

TEST_CASE("row lengths 1 to 520 at offsets 0 to 15, between canaries") {
  const Runtime runtime = cpu();
  Grid grid;
  for (std::int64_t n = 1; n <= 520; n += n < 34 ? 1 : 27) grid.lengths.push_back(n);
  for (std::int64_t offset = 0; offset < 16; ++offset) grid.offsets.push_back(offset);
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) check_shapes(runtime, dtype, grid);
}

TEST_CASE("every named operator at a few row lengths and offsets, between canaries") {
  check_named_shapes(cpu(), {.lengths = {1, 7, 64, 255}, .offsets = {0, 1, 4, 15}});
}

TEST_CASE("a row alone has the bits that it has in every batch") {
  const Runtime runtime = cpu();
  std::vector<std::int64_t> batches(256);
  std::iota(batches.begin(), batches.end(), 1);
  check_batches(runtime.rms_norm({.n = 1000, .residual = true}), runtime, 256, batches);
  check_batches(runtime.rms_norm({.n = 777, .dtype = DType::f32}), runtime, 256, batches);
  check_batches(runtime.rms_norm({.n = 8192, .dtype = DType::f16}), runtime, 64, {1, 2, 3, 5, 17, 63, 64});
  check_named_batches(runtime, 520);
}

TEST_CASE("outputs may take the place of inputs") {
  const Runtime runtime = cpu();
  for (const ResidualMode mode : {ResidualMode::f32_sum, ResidualMode::rounded_sum})
    check_in_place(runtime, rms_norm({.n = 1000, .residual = true, .residual_mode = mode}));
  check_in_place(runtime, rms_norm({.n = 8192}));
  check_named_in_place(runtime, 333);
}

TEST_CASE("threads that share one operator do not disturb each other") {
  const Runtime runtime = cpu();
  const Operator op = runtime.rms_norm({.n = 512, .residual = true});
  std::vector<std::string> faults(8);
  {
    std::vector<std::jthread> threads;
    for (std::size_t thread = 0; thread < faults.size(); ++thread)
      threads.emplace_back([&, thread] {
        for (std::uint64_t round = 0; round < 20 && faults[thread].empty(); ++round) {
          Call call(op.spec(), op.fold(),
                    {.tokens = static_cast<std::int64_t>(1 + 7 * thread), .seed = 100 * thread + round});
          std::vector<ConstTensor> inputs;
          std::vector<MutableTensor> outputs;
          for (HostTensor& tensor : call.inputs()) inputs.push_back({tensor.data()});
          for (HostTensor& tensor : call.outputs()) outputs.push_back({tensor.data()});
          op.launch(nullptr, inputs, outputs, call.tokens());
          faults[thread] = call.fault();
        }
      });
  }
  for (const std::string& fault : faults) CHECK(fault == "");
}

TEST_CASE("rows without elements: sums are 0, means NaN, and what has one number per element has none") {
  const Runtime runtime = cpu();
  const Operator mean = runtime.make_operator(row_reduction({.reduction = RowReduction::mean, .n = 0, .dtype = DType::f32}));
  const Operator sum = runtime.make_operator(row_reduction({.reduction = RowReduction::sum, .n = 0, .dtype = DType::bf16}));
  std::array<float, 3> means{};
  std::array<std::uint16_t, 3> sums{1, 1, 1};
  const ConstTensor nothing{};
  const MutableTensor mean_out{means.data()}, sum_out{sums.data()};
  mean.launch(nullptr, {&nothing, 1}, {&mean_out, 1}, 3);
  sum.launch(nullptr, {&nothing, 1}, {&sum_out, 1}, 3);
  for (const float value : means) CHECK(std::isnan(value));
  CHECK(sums == std::array<std::uint16_t, 3>{0, 0, 0});
  const Operator none = runtime.make_operator(softmax({.n = 0}));
  const MutableTensor no_output{};
  none.launch(nullptr, {&nothing, 1}, {&no_output, 1}, 3);
  CHECK_THROWS_AS(row_reduction({.reduction = RowReduction::max, .n = 0}), UsageError);
}
