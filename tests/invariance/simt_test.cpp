// Every candidate schedule of the sets, its generated CUDA text executed on the host, against the oracle: raw
// bytes.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "invariance/plan_sets.hpp"
#include "simt/batch.hpp"
#include "simt/host_text.hpp"
#include "support/random.hpp"
#include "support/random_plan.hpp"

using namespace isofold;
using isofold::testing::Call;
using isofold::testing::PlanSet;

namespace {

constexpr std::size_t kernels_per_batch = 40;

/// A kernel to compile and run: a plan, and where its set's tensors lie.
struct Item {
  const PlanSet* set;
  Plan plan;
};

/// What the workers found; guarded by its mutex.
struct Findings {
  std::mutex mutex;
  std::vector<std::string> faults;
  std::vector<std::string> warnings;  // of the compiler
  std::size_t kernels = 0;
  std::size_t runs = 0;
};

struct Run {
  std::int64_t tokens;
  simt::Order::Kind order;
};

/// One row, a few, and more than the rows of one block: many short ones, few long ones. Threads in their
/// order, and in reverse.
std::vector<Run> runs_of(std::int64_t n, std::int64_t rows_per_block) {
  const std::int64_t few = n > 500000 ? 1 : 4;
  const std::int64_t many = rows_per_block + std::clamp<std::int64_t>(32768 / std::max<std::int64_t>(n, 1), few, 32);
  std::vector<Run> runs{{many, simt::Order::Kind::forward}, {many, simt::Order::Kind::reversed}};
  if (n <= 8192) runs.insert(runs.end(), {{1, simt::Order::Kind::forward}, {3, simt::Order::Kind::reversed}});
  return runs;
}

/// Compiles the items together, runs each and compares with the oracle.
void check(std::span<const Item> items, Findings& findings) {
  std::vector<CudaSource> sources;
  for (const Item& item : items) sources.push_back(emit_cuda(item.plan));
  simt::Batch batch(sources);
  std::vector<std::string> faults;
  std::map<std::tuple<const PlanSet*, std::int64_t, std::uint64_t, bool>, Call> calls;
  std::size_t runs = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto& [set, plan] = items[i];
    for (Run run : runs_of(set->spec.n, plan.gpu().rows_per_block)) {
      if (run.tokens > 3) run.tokens = std::max(run.tokens, static_cast<std::int64_t>(set->integers.size()));
      const std::uint64_t variant = i % 8;  // plans of one set see different data
      // Every kernel sees ordinary numbers too, which other trees show with.
      const bool numbers = run.order == simt::Order::Kind::forward && !set->numbers.empty();
      const auto [call, made] =
          calls.try_emplace({set, run.tokens, variant, numbers}, set->spec, set->fold,
                            testing::CallOptions{.tokens = run.tokens,
                                                 .offset = set->offset,
                                                 .stride_padding = set->stride_padding,
                                                 .seed = 8 * set->name.size() + variant,
                                                 .integers = set->integers,
                                                 .numbers = numbers ? set->numbers : std::vector<float>()});
      ++runs;
      const std::string fault =
          simt::run_plan(batch, i, sources[i], plan, call->second, {.kind = run.order, .seed = 0});
      if (!fault.empty())
        faults.push_back(fmt::format("{}, {} tokens, {} threads:\n{}", text(plan), run.tokens,
                                     run.order == simt::Order::Kind::forward ? "ordered" : "reversed",
                                     fault));
    }
  }
  const std::lock_guard lock(findings.mutex);
  findings.kernels += sources.size();
  findings.runs += runs;
  if (!batch.warnings().empty())
    findings.warnings.push_back(fmt::format("{}:\n{}", items[0].set->name, batch.warnings().substr(0, 500)));
  findings.faults.insert(findings.faults.end(), faults.begin(), faults.end());
}

/// `check`; when the items do not compile together, each alone, so that the one that does not is named.
void check_or_report(std::span<const Item> items, Findings& findings) {
  try {
    check(items, findings);
  } catch (const std::exception& error) {
    if (items.size() > 1) {
      for (std::size_t i = 0; i < items.size(); ++i) check_or_report(items.subspan(i, 1), findings);
      return;
    }
    const std::lock_guard lock(findings.mutex);
    findings.faults.push_back(
        fmt::format("{}: {}", text(items[0].plan), std::string(error.what()).substr(0, 2000)));
  }
}

/// All items, in batches, on every core.
void check_all(const std::vector<Item>& items) {
  Findings findings;
  std::atomic<std::size_t> next = 0;
  const auto worker = [&] {
    for (std::size_t first = next.fetch_add(kernels_per_batch); first < items.size();
         first = next.fetch_add(kernels_per_batch))
      check_or_report(std::span(items).subspan(first, std::min(kernels_per_batch, items.size() - first)),
                      findings);
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i)
    threads.emplace_back(worker);
  for (std::thread& thread : threads) thread.join();

  MESSAGE(findings.kernels << " kernels, " << findings.runs << " runs");
  // A few of each spec and fold.
  std::map<std::string, int> shown;
  for (const std::string& fault : findings.faults)
    if (shown.size() < 20 && ++shown[fault.substr(0, fault.find("| gpu"))] <= 2) FAIL_CHECK(fault);
  CHECK(findings.faults.size() == 0);
  // A generated kernel declares nothing that it does not use.
  for (std::size_t i = 0; i < std::min<std::size_t>(3, findings.warnings.size()); ++i)
    FAIL_CHECK(findings.warnings[i]);
  CHECK(findings.warnings.size() == 0);
}

/// The candidates of a set for sm_80 and sm_90, one of each program that the host has of them: a kernel that may not touch memory
/// before the one ahead of it is done before one that may.
std::vector<Plan> distinct_on_host(const PlanSet& set) {
  std::vector<Plan> plans;
  for (const char* arch : {"sm_80", "sm_90"}) {
    const std::vector<Plan> of_arch = distinct_candidates(set, arch);
    CAPTURE(set.name);
    CAPTURE(arch);
    CHECK(!of_arch.empty());
    plans.insert(plans.end(), of_arch.begin(), of_arch.end());
  }
  std::ranges::stable_partition(plans, [](const Plan& plan) { return plan.gpu().dependent_launch; });
  std::set<std::tuple<std::string, int, int, int, int, int, Split>> seen;
  std::erase_if(plans, [&](const Plan& plan) {
    const GpuShape shape = gpu_shape(plan);
    return !seen.emplace(simt::host_program(emit_cuda(plan).text), shape.block_threads, shape.staging_bytes,
                         shape.workspace_bytes_per_row, plan.gpu().rows_per_block, plan.gpu().blocks_per_row, plan.gpu().split).second;
  });
  return plans;
}

}  // namespace

TEST_CASE("every candidate schedule gives the oracle's bytes") {
  const std::vector<PlanSet> sets = testing::plan_sets();
  std::vector<Item> items;
  for (const PlanSet& set : sets)
    for (const Plan& plan : distinct_on_host(set)) items.push_back({&set, plan});
  check_all(items);
}

TEST_CASE("random specs under random folds and schedules give the oracle's bytes") {
  testing::Random random(2024);
  const testing::Choose choose = [&](std::uint64_t below) { return random.below(below); };
  std::deque<PlanSet> sets;
  std::vector<Item> items;
  while (items.size() < 4 * kernels_per_batch) {
    const Spec spec = parse_spec(testing::random_spec_text(choose, 300));
    const Fold fold = choose(2) == 0 ? default_fold(spec) : testing::random_fold(choose, 64);
    const DeviceTraits device = traits_of_arch(choose(2) == 0 ? "sm_80" : "sm_90").value();
    const PlanResult plan = make_plan(spec, fold, testing::random_gpu_schedule(choose), device);
    if (!plan) continue;
    // Rows lie so that the schedule's accesses are aligned.
    const std::int64_t vector = plan.value().gpu().vector;
    sets.push_back({text(spec), spec, fold, vector, vector});
    items.push_back({&sets.back(), plan.value()});
  }
  check_all(items);
}
