#include "cpu_pool.hpp"

#include <isofold/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "blocked_signals.hpp"
#include "process.hpp"

namespace isofold {
namespace {

constexpr int closed = 1 << 30;

}  // namespace

#if defined(__x86_64__)
FloatEnvironment::FloatEnvironment() : saved_(_mm_getcsr()) { _mm_setcsr(0x1f80); }
FloatEnvironment::~FloatEnvironment() { _mm_setcsr(saved_); }
#elif defined(__aarch64__)
FloatEnvironment::FloatEnvironment() {
  asm volatile("mrs %0, fpcr" : "=r"(saved_));
  asm volatile("msr fpcr, %0" : : "r"(std::uint64_t{0}));
}
FloatEnvironment::~FloatEnvironment() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }
#else
FloatEnvironment::FloatEnvironment() {
  std::fegetenv(&saved_);
  std::fesetenv(FE_DFL_ENV);
}
FloatEnvironment::~FloatEnvironment() { std::fesetenv(&saved_); }
#endif

CpuPool::CpuPool(int threads) : process_generation_(process_generation()), gate_(closed) {
  if (threads < 1) throw UsageError(fmt::format("{} threads were asked for, at least 1 is needed", threads));
  workers_.reserve(static_cast<std::size_t>(threads - 1));
  try {
    const BlockedSignals blocked;
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  } catch (const std::system_error& error) {
    const std::size_t started = workers_.size() + 1;
    stop();
    throw UsageError(fmt::format("{} threads were asked for, the system gives only {}: {}", threads, started,
                                 error.what()));
  }
}

CpuPool::~CpuPool() { stop(); }

void CpuPool::stop() {
  if (process_generation_ != process_generation()) {
    // The threads exist in the parent process only: here they can be neither joined nor detached.
    static_cast<void>(new std::vector<std::thread>(std::move(workers_)));
    return;
  }
  stopping_.store(true);
  launches_.fetch_add(1);
  launches_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void CpuPool::run(const Job& job) {
  if (job.count <= 0) return;
  const bool alone =
      workers_.empty() || job.count <= job.grain || process_generation_ != process_generation();
  if (alone || busy_.exchange(true, std::memory_order_acquire)) {
    const FloatEnvironment environment;
    job.call(job.context, 0, job.count);
    return;
  }
  job_ = job;
  next_.store(0, std::memory_order_relaxed);
  gate_.store(0, std::memory_order_release);
  launches_.fetch_add(1, std::memory_order_release);
  launches_.notify_all();
  run_ranges();
  // No row is left: who has not come in by now stays out, who is inside finishes its rows.
  int inside = gate_.fetch_add(closed, std::memory_order_acq_rel) + closed;
  while (inside != closed) {
    gate_.wait(inside, std::memory_order_acquire);
    inside = gate_.load(std::memory_order_acquire);
  }
  busy_.store(false, std::memory_order_release);
}

void CpuPool::run_ranges() {
  const FloatEnvironment environment;
  for (;;) {
    const std::int64_t first = next_.fetch_add(job_.grain, std::memory_order_relaxed);
    if (first >= job_.count) return;
    job_.call(job_.context, first, std::min(first + job_.grain, job_.count));
  }
}

void CpuPool::work() {
  int seen = 0;
  for (;;) {
    launches_.wait(seen, std::memory_order_acquire);
    seen = launches_.load(std::memory_order_acquire);
    if (stopping_.load()) return;
    if (!enter()) continue;
    run_ranges();
    leave();
  }
}

bool CpuPool::enter() {
  int inside = gate_.load(std::memory_order_relaxed);
  while (inside < closed)
    if (gate_.compare_exchange_weak(inside, inside + 1, std::memory_order_acquire)) return true;
  return false;
}

void CpuPool::leave() {
  if (gate_.fetch_sub(1, std::memory_order_release) == closed + 1) gate_.notify_one();
}

}  // namespace isofold
