// Bits on a GPU. compute-sanitizer runs the same with -tse=thorough, which leaves out what would take it
// hours.
#include <isofold/isofold.hpp>

#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/interpreter.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "../invariance/plan_sets.hpp"
#include "bit_gate.hpp"
#include "device_call.hpp"
#include "kernel_store.hpp"
#include "operator_checks.hpp"
#include "parallel.hpp"
#include "runtime_impl.hpp"

using namespace isofold;
using namespace isofold::testing;

namespace {

Runtime gpu() { return Runtime({.device = "cuda:0", .cache_folder = "off", .tables = {}}); }

/// Every candidate that the set's alignment allows.
std::vector<Plan> plans_of(const PlanSet& set, const DeviceTraits& device) {
  const std::int64_t distances = set.offset | (set.stride_padding == 0 ? 0 : set.spec.n + set.stride_padding);
  const std::int64_t alignment = distances == 0 ? max_leaf : distances & -distances;
  return candidates(set.spec, set.fold, device, max_vector(set.spec, set.fold, alignment));
}

/// Every candidate of the sets through the bit gate and once between canaries.
void check_candidates(const std::vector<PlanSet>& sets, std::size_t most_per_set) {
  const Runtime runtime = gpu();
  KernelStore& store = runtime.impl()->store();
  store.ensure_probed(runtime.device());
  const DeviceArena arena(runtime, std::size_t{256} << 20);
  std::size_t count = 0;
  for (const PlanSet& set : sets) {
    std::vector<Plan> plans = plans_of(set, runtime.device());
    CHECK(!plans.empty());
    if (plans.size() > most_per_set) {  // spread over the list
      std::vector<Plan> some;
      for (std::size_t i = 0; i < most_per_set; ++i) some.push_back(plans[i * plans.size() / most_per_set]);
      plans = std::move(some);
    }
    std::vector<std::shared_ptr<const KernelImage>> images(plans.size());
    for_each_parallel(plans.size(), [&](std::size_t i) { images[i] = store.image(plans[i]); });
    BitGate gate(store.target(), set.spec, set.fold);
    CallOptions options{.tokens = std::max<std::int64_t>(set.spec.n > 8192 ? 5 : 19, static_cast<std::int64_t>(set.integers.size())),
                        .offset = set.offset, .stride_padding = set.stride_padding, .integers = set.integers};
    std::vector<Call> calls{Call(set.spec, set.fold, options)};
    // A scalar is one number in each of these; the kernels take them in turns.
    options.numbers = set.numbers;
    for (; options.seed <= set.numbers.size(); ++options.seed) calls.emplace_back(set.spec, set.fold, options);
    for (std::size_t i = 0; i < plans.size(); ++i) {
      INFO(set.name, " ", text(plans[i].schedule()));
      const auto kernel = store.load(plans[i], images[i]);
      CHECK(gate.check(*kernel) == "");
      std::vector<std::size_t> chosen{0};
      if (calls.size() > 1) chosen.push_back(1 + i % (calls.size() - 1));
      for (const std::size_t k : chosen) {
        calls[k].reset_outputs();
        CHECK(fault_on_device(arena, calls[k], *kernel) == "");
      }
      ++count;
    }
  }
  MESSAGE(count, " kernels");
}

}  // namespace

TEST_CASE("schedules of a few sets give the oracle's bytes") {
  std::vector<PlanSet> sets = few_plan_sets();
  for (PlanSet& set : sets) set = exposed(std::move(set));
  check_candidates(sets, 6);
}

TEST_CASE("a few row lengths and offsets, between canaries") {
  const Runtime runtime = gpu();
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16})
    check_shapes(runtime, dtype, {.lengths = {1, 7, 64, 255, 520}, .offsets = {0, 1, 4, 15}});
}

TEST_CASE("every named operator at a few row lengths and offsets, between canaries") {
  check_named_shapes(gpu(), {.lengths = {1, 7, 64, 255}, .offsets = {0, 1}});
}

TEST_CASE("a row alone has the bits that it has in a batch") {
  const Runtime runtime = gpu();
  const Operator op = runtime.rms_norm({.n = 2048, .residual = true});
  check_batches(op, runtime, 96, {2, 3, 31, 64, 96});
  check_named_batches(runtime, 1032);
}

TEST_CASE("outputs may take the place of inputs") {
  const Runtime runtime = gpu();
  for (const ResidualMode mode : {ResidualMode::f32_sum, ResidualMode::rounded_sum})
    for (const std::int64_t n : {1000, 8192, 40960})
      check_in_place(runtime, rms_norm({.n = n, .residual = true, .residual_mode = mode}));
  check_in_place(runtime, rms_norm({.n = 65536, .dtype = DType::f32}));
  check_named_in_place(runtime, 1000);
}

TEST_CASE("in place, every schedule of a long row") {
  const Runtime runtime = gpu();
  const Spec spec = rms_norm({.n = 16384, .residual = true});
  const Fold fold = default_fold(spec);
  KernelStore& store = runtime.impl()->store();
  const std::vector<Plan> plans = candidates(spec, fold, runtime.device());
  std::vector<std::shared_ptr<const KernelImage>> images(plans.size());
  for_each_parallel(plans.size(), [&](std::size_t i) { images[i] = store.image(plans[i]); });
  Call call(spec, fold, {.tokens = 7});
  const DeviceArena arena(runtime, std::size_t{16} << 20);
  const std::size_t bytes = 7 * 16384 * 2;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    INFO(text(plans[i].schedule()));
    const auto kernel = store.load(plans[i], images[i]);
    std::byte* data = arena.memory().data();
    for (std::size_t k = 0; k < 3; ++k)
      arena.memory().upload(call.inputs()[k].row(0), k < 2 ? bytes : bytes / 7, k * bytes);
    const std::vector<ConstTensor> inputs{{data}, {data + bytes}, {data + 2 * bytes}};
    const std::vector<MutableTensor> outputs{{data}, {data + bytes}};  // y over x, the sum over the residual
    Parameters parameters;
    ArgumentLayout(spec).bind(inputs, outputs, 7, parameters);
    const WorkBuffer workspace(arena.queue(), kernel->workspace_bytes(7));
    kernel->launch(arena.queue().stream(), parameters, 7, workspace.data());
    std::vector<std::byte> actual(2 * bytes);
    arena.memory().download(actual.data(), actual.size());
    CHECK(std::memcmp(actual.data(), call.expected()[0].row(0), bytes) == 0);
    CHECK(std::memcmp(actual.data() + bytes, call.expected()[1].row(0), bytes) == 0);
  }
}

TEST_SUITE("thorough") {
  TEST_CASE("every schedule of every set gives the oracle's bytes") { check_candidates(plan_sets(), 10000); }

  TEST_CASE("every schedule of every natural fold gives its oracle's bytes") {
    std::vector<PlanSet> sets;
    for (const RmsNormOptions& options :
         {RmsNormOptions{.n = 4096}, RmsNormOptions{.n = 5120, .residual = true}}) {
      const Spec spec = rms_norm(options);
      for (const Fold& fold : fold_family(spec))
        if (!candidates(spec, fold, gpu().device()).empty())  // some folds suit other row lengths only
          sets.push_back({.name = text(fold), .spec = spec, .fold = fold, .offset = 0, .stride_padding = 0});
    }
    check_candidates(sets, 12);
  }

  TEST_CASE("row lengths 1 to 520 at offsets 0 to 15, between canaries") {
    const Runtime runtime = gpu();
    Grid grid;
    grid.lengths.resize(520);
    std::iota(grid.lengths.begin(), grid.lengths.end(), 1);
    grid.offsets.resize(16);
    std::iota(grid.offsets.begin(), grid.offsets.end(), 0);
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) check_shapes(runtime, dtype, grid);
  }

  TEST_CASE("a row alone has the bits that it has in batches of 1 to 1024") {
    const Runtime runtime = gpu();
    std::vector<std::int64_t> batches(1024);
    std::iota(batches.begin(), batches.end(), 1);
    check_batches(runtime.rms_norm({.n = 4096}), runtime, 1024, batches);
    check_batches(runtime.rms_norm({.n = 1000, .dtype = DType::f32, .residual = true}), runtime, 1024,
                  batches);
  }

  TEST_CASE("both sides of every boundary of the table") {
    const Runtime runtime = gpu();
    for (const std::int64_t n : {256, 2048, 4096, 5120, 8192, 16384})
      for (const bool residual : {false, true}) {
        const Operator op = runtime.rms_norm({.n = n, .residual = residual});
        const std::int64_t most = std::min<std::int64_t>(16384, (std::int64_t{1} << 26) / n);
        check_batches(op, runtime, most, around_boundaries(op, most));
      }
  }
}
