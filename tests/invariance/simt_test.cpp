// Every candidate schedule of the sets, its generated CUDA text executed on the host, against the oracle: raw
// bytes.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "invariance/plan_sets.hpp"
#include "simt/batch.hpp"

using namespace isofold;
using isofold::testing::Call;
using isofold::testing::PlanSet;

namespace {

constexpr std::size_t kernels_per_batch = 40;

struct Work {
  const PlanSet* set;
  std::vector<Plan> plans;
};

/// What the workers found; guarded by its mutex.
struct Findings {
  std::mutex mutex;
  std::vector<std::string> faults;
  std::vector<std::string> warnings;  // of the compiler
  std::size_t kernels = 0;
  std::size_t runs = 0;
};

/// One row, a few, and more than the rows of one block; less of it for long rows.
std::vector<std::int64_t> token_counts(std::int64_t n, std::int64_t rows_per_block) {
  if (n <= 2048) return {1, 3, rows_per_block + 9};
  if (n <= 8192) return {1, rows_per_block + 2};
  return {rows_per_block + 1};
}

/// Every plan with few rows, and with a row more than fills its blocks: threads in their order, and in
/// reverse.
void check(const Work& work, Findings& findings) {
  std::vector<CudaSource> sources;
  for (const Plan& plan : work.plans) sources.push_back(emit_cuda(plan));
  simt::Batch batch(sources);
  std::vector<std::string> faults;
  std::map<std::int64_t, Call> calls;
  std::size_t runs = 0;
  for (std::size_t i = 0; i < work.plans.size(); ++i) {
    const GpuSchedule& schedule = work.plans[i].gpu();
    for (std::int64_t tokens : token_counts(work.set->spec.n, schedule.rows_per_block)) {
      const auto [call, made] = calls.try_emplace(
          tokens, work.set->spec, work.set->fold,
          testing::CallOptions{.tokens = tokens,
                               .offset = work.set->offset,
                               .stride_padding = work.set->stride_padding,
                               .seed = static_cast<std::uint64_t>(tokens) + work.set->name.size()});
      for (auto kind : {simt::Order::Kind::forward, simt::Order::Kind::reversed}) {
        ++runs;
        const std::string fault =
            simt::run_plan(batch, i, sources[i], work.plans[i], call->second, {.kind = kind, .seed = 0});
        if (!fault.empty())
          faults.push_back(fmt::format("{}, {} tokens, {} threads:\n{}", text(work.plans[i]), tokens,
                                       kind == simt::Order::Kind::forward ? "ordered" : "reversed", fault));
      }
    }
  }
  const std::lock_guard lock(findings.mutex);
  findings.kernels += sources.size();
  findings.runs += runs;
  if (!batch.warnings().empty())
    findings.warnings.push_back(fmt::format("{}:\n{}", work.set->name, batch.warnings().substr(0, 500)));
  findings.faults.insert(findings.faults.end(), faults.begin(), faults.end());
}

void run_all(const std::vector<Work>& queue, Findings& findings) {
  std::atomic<std::size_t> next = 0;
  const auto worker = [&] {
    for (std::size_t i = next++; i < queue.size(); i = next++) {
      try {
        check(queue[i], findings);
      } catch (const std::exception& error) {
        const std::lock_guard lock(findings.mutex);
        findings.faults.push_back(
            fmt::format("{}: {}", queue[i].set->name, std::string(error.what()).substr(0, 2000)));
      }
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i)
    threads.emplace_back(worker);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

TEST_CASE("every candidate schedule gives the oracle's bytes") {
  const std::vector<PlanSet> sets = testing::plan_sets();
  std::vector<Work> queue;
  for (const PlanSet& set : sets)
    for (const char* arch : {"sm_80", "sm_90"}) {
      const std::vector<Plan> plans = distinct_candidates(set, arch, testing::RegisterBounds::ignored);
      CAPTURE(set.name);
      CAPTURE(arch);
      CHECK(!plans.empty());
      for (std::size_t first = 0; first < plans.size(); first += kernels_per_batch)
        queue.push_back({&set,
                         {plans.begin() + static_cast<std::ptrdiff_t>(first),
                          plans.begin() + static_cast<std::ptrdiff_t>(
                                              std::min(first + kernels_per_batch, plans.size()))}});
    }
  Findings findings;
  run_all(queue, findings);
  MESSAGE(findings.kernels << " kernels of " << sets.size() << " sets, " << findings.runs << " runs");
  constexpr std::size_t shown = 20;
  for (std::size_t i = 0; i < std::min(shown, findings.faults.size()); ++i) FAIL_CHECK(findings.faults[i]);
  CHECK(findings.faults.size() == 0);
  // A generated kernel declares nothing that it does not use.
  for (std::size_t i = 0; i < std::min<std::size_t>(3, findings.warnings.size()); ++i)
    FAIL_CHECK(findings.warnings[i]);
  CHECK(findings.warnings.size() == 0);
}
