// NVRTC compiles every candidate schedule of the sets, with no GPU: the PTX keeps the numerics rules, and no
// kernel spills. Without NVRTC the program ends with the exit code that counts as skipped.
#include "nvrtc.hpp"

#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/cuda_emitter.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cubin_usage.hpp"
#include "invariance/plan_sets.hpp"
#include "settings.hpp"
#include "support/random.hpp"
#include "support/random_plan.hpp"

using namespace isofold;
using isofold::testing::PlanSet;

namespace {

std::shared_ptr<const Nvrtc> nvrtc_or_skip() {
  const Settings settings = Settings::from_environment();
  try {
    return Nvrtc::open({.path = settings.nvrtc.value,
                        .cuda_roots = settings.cuda_roots,
                        .python_roots = settings.python_roots});
  } catch (const UsageError& error) {
    std::printf("skipped: %s\n", error.what());
    std::exit(77);
  }
}

/// Everything that is wrong with a plan's compiled kernels.
std::vector<std::string> faults_of(const Nvrtc& nvrtc, const Plan& plan) {
  const CudaSource source = emit_cuda(plan);
  const CompileResult result = nvrtc.compile(source.text, source.program_name, plan.device().arch);
  std::vector<std::string> faults = lint_ptx(result.ptx);
  if (!result.log.empty()) faults.push_back("warnings: " + result.log);
  for (const std::string& entry : source.entries) {
    const int bytes = usage_of(result.cubin, entry).stack_bytes;
    if (bytes > 0) faults.push_back(fmt::format("{} uses {} bytes of local memory", entry, bytes));
  }
  for (std::string& fault : faults) fault = fmt::format("{}: {}", text(plan), fault);
  return faults;
}

}  // namespace

TEST_CASE("random Specs compile for sm_80, sm_90 and sm_100, and keep the numerics rules") {
  const std::shared_ptr<const Nvrtc> nvrtc = nvrtc_or_skip();
  testing::Random random(11);
  const auto choose = [&](std::uint64_t below) { return random.below(below); };
  for (int i = 0; i < 24; ++i) {
    const Spec spec = parse_spec(testing::random_spec_text(choose, 3000));
    const std::array archs{"sm_80", "sm_90", "sm_100"};
    const std::vector<Plan> plans = candidates(spec, default_fold(spec), traits_of_arch(archs[static_cast<std::size_t>(i % 3)]).value());
    if (plans.empty()) continue;
    for (const std::string& fault : faults_of(*nvrtc, plans[choose(plans.size())]))
      if (fault.find("local memory") == std::string::npos) FAIL_CHECK(fault);  // their values may be many
  }
}

TEST_CASE("the longest rows compile") {
  const std::shared_ptr<const Nvrtc> nvrtc = nvrtc_or_skip();
  for (const char* text : {"longest N=2147483647 (x: bf16[row]) { total: f32 = sum(x) }",
                           "longest N=2147483647 (x: f32[row], length: i32[token]) { y: f32 = mul(x, sum(where(less(index, length), x, 0))) }",
                           "longest N=2147483647 (x: bf16[row], length: i32[token]) { z = where(less(index, length), x, 0); y: bf16 = mul(z, sum(z)) }"}) {
    const Spec spec = parse_spec(text);
    const std::vector<Plan> plans = candidates(spec, default_fold(spec), traits_of_arch("sm_90").value());
    REQUIRE(!plans.empty());
    for (const std::string& fault : faults_of(*nvrtc, plans.front())) FAIL_CHECK(fault);
    for (const std::string& fault : faults_of(*nvrtc, plans.back())) FAIL_CHECK(fault);
  }
  // The row ends below 2^31, lanes and batches behind its end do not.
  const Spec spec = parse_spec("longest N=2147483639 (x: f32[row], z: f32[row]) { total: f32 = sum(mul(x, z)) }");
  for (const Fold& fold : {Fold{2, 32, 1}, Fold{1, 32, 2}, Fold{1, 16, 4}}) {
    const GpuSchedule schedule{.threads_per_row = fold.lanes, .rows_per_block = 32 / fold.lanes, .staging = Staging::reread, .vector = 1};
    const Plan plan = make_plan(spec, fold, schedule, traits_of_arch("sm_90").value()).value();
    CHECK(emit_cuda(plan).text.find("const long long element") != std::string::npos);
    for (const std::string& fault : faults_of(*nvrtc, plan)) FAIL_CHECK(fault);
  }
}

TEST_CASE(
    "every candidate schedule compiles for sm_80, sm_90 and sm_100, keeps the numerics rules and does not "
    "spill") {
  const std::shared_ptr<const Nvrtc> nvrtc = nvrtc_or_skip();
  const std::vector<PlanSet> sets = testing::few_plan_sets();
  std::vector<Plan> plans;
  int turn = 0;
  for (const PlanSet& set : sets) {
    std::vector<std::string> archs{"sm_80", "sm_90", "sm_100"};
    if (set.one_architecture) archs = {archs[static_cast<std::size_t>(turn++ % 3)]};
    for (const std::string& arch : archs) {
      const std::vector<Plan> of_set = distinct_candidates(set, arch);
      CAPTURE(set.name);
      CAPTURE(arch);
      CHECK(!of_set.empty());
      plans.insert(plans.end(), of_set.begin(), of_set.end());
    }
  }

  std::mutex mutex;
  std::vector<std::string> faults;
  std::atomic<std::size_t> next = 0;
  const auto worker = [&] {
    for (std::size_t i = next++; i < plans.size(); i = next++) {
      std::vector<std::string> found;
      try {
        found = faults_of(*nvrtc, plans[i]);
      } catch (const std::exception& error) {
        found = {fmt::format("{}: {}", text(plans[i]), std::string(error.what()).substr(0, 2000))};
      }
      const std::lock_guard lock(mutex);
      faults.insert(faults.end(), found.begin(), found.end());
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i)
    threads.emplace_back(worker);
  for (std::thread& thread : threads) thread.join();

  MESSAGE(plans.size() << " kernels of " << sets.size() << " sets, NVRTC " << nvrtc->version());
  for (std::size_t i = 0; i < std::min<std::size_t>(faults.size(), 20); ++i) FAIL_CHECK(faults[i]);
  CHECK(faults.size() == 0);
}
