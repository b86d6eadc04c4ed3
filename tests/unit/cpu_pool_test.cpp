#include "cpu_pool.hpp"

#include <isofold/error.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__unix__)
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "parallel.hpp"

using namespace isofold;

namespace {

/// How often each of `count` indices was visited.
std::vector<std::atomic<int>> visits(CpuPool& pool, std::int64_t count, std::int64_t grain) {
  std::vector<std::atomic<int>> seen(static_cast<std::size_t>(count));
  pool.parallel_for(count, grain, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) ++seen[static_cast<std::size_t>(i)];
  });
  return seen;
}

bool once_each(const std::vector<std::atomic<int>>& seen) {
  for (const std::atomic<int>& count : seen)
    if (count != 1) return false;
  return true;
}

}  // namespace

TEST_CASE("every index is visited once") {
  for (int threads : {1, 2, 5}) {
    CpuPool pool(threads);
    CHECK(pool.threads() == threads);
    for (std::int64_t count : {0, 1, 2, 63, 1000})
      for (std::int64_t grain : {1, 3, 64, 5000}) CHECK(once_each(visits(pool, count, grain)));
  }
}

TEST_CASE("ranges are no longer than the grain when several threads share them") {
  CpuPool pool(3);
  std::atomic<std::int64_t> longest = 0;
  pool.parallel_for(1000, 7, [&](std::int64_t first, std::int64_t last) {
    std::int64_t seen = longest;
    while (last - first > seen && !longest.compare_exchange_weak(seen, last - first)) {
    }
  });
  CHECK(longest == 7);
}

TEST_CASE("all threads take part in one launch") {
  CpuPool pool(4);
  std::atomic<int> arrived = 0;
  pool.parallel_for(4, 1, [&](std::int64_t, std::int64_t) {
    ++arrived;
    while (arrived < 4) std::this_thread::yield();  // hangs unless four are inside at once
  });
  CHECK(arrived == 4);
}

TEST_CASE("a body that launches again, and launches from several threads at once") {
  CpuPool pool(3);
  std::atomic<std::int64_t> sum = 0;
  pool.parallel_for(10, 1, [&](std::int64_t, std::int64_t) {
    pool.parallel_for(10, 1, [&](std::int64_t first, std::int64_t last) { sum += last - first; });
  });
  CHECK(sum == 100);

  std::vector<std::thread> callers;
  std::atomic<int> wrong = 0;
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&] {
      for (int i = 0; i < 200; ++i) wrong += !once_each(visits(pool, 50, 3));
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST_CASE("a pool without threads is refused") { CHECK_THROWS_AS(CpuPool(0), UsageError); }

#if defined(__x86_64__)
TEST_CASE("bodies run with rounding to nearest and subnormals, the caller's settings come back") {
  constexpr unsigned flush_and_truncate = 0x1f80 | 0x8040 | 0x6000;
  CpuPool pool(2);
  std::atomic<int> wrong = 0;
  const unsigned before = _mm_getcsr();
  _mm_setcsr(flush_and_truncate);
  const auto check = [&](std::int64_t, std::int64_t) { wrong += (_mm_getcsr() & ~0x3fu) != 0x1f80; };
  pool.parallel_for(100, 1, check);
  pool.parallel_for(1, 1, check);
  // A body that leaves other settings behind does not reach the next launch.
  pool.parallel_for(100, 1, [&](std::int64_t, std::int64_t) { _mm_setcsr(flush_and_truncate); });
  pool.parallel_for(100, 1, check);
  const unsigned after = _mm_getcsr();
  _mm_setcsr(before);
  CHECK(wrong == 0);
  CHECK(after == flush_and_truncate);
}
#endif

#if defined(__unix__)
namespace {

bool blocks(int signal) {
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return sigismember(&mask, signal) == 1;
}

/// True when the thread takes what it should: the application's thread all signals, a helper its own faults.
bool takes_the_right_signals(std::thread::id application) {
  const bool helper = std::this_thread::get_id() != application;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGALRM, SIGCHLD})
    if (blocks(signal) != helper) return false;
  return !blocks(SIGSEGV) && !blocks(SIGFPE);
}

}  // namespace

TEST_CASE("the application's signals never interrupt a helper, and its own mask stays") {
  const std::thread::id self = std::this_thread::get_id();
  std::atomic<int> wrong = 0;
  CpuPool pool(3);
  CHECK(takes_the_right_signals(self));
  std::atomic<int> arrived = 0;
  pool.parallel_for(3, 1, [&](std::int64_t, std::int64_t) {
    wrong += !takes_the_right_signals(self);
    ++arrived;
    while (arrived < 3) std::this_thread::yield();
  });
  CHECK(arrived == 3);
  for_each_parallel(100, [&](std::size_t) {
    wrong += !takes_the_right_signals(self);
    std::this_thread::yield();
  });
  CHECK(wrong == 0);
  CHECK(takes_the_right_signals(self));
}
#endif

TEST_CASE("for_each_parallel calls every item once, and throws the first exception again") {
  for (std::size_t count : {0, 1, 2, 1000}) {
    std::vector<std::atomic<int>> seen(count);
    for_each_parallel(count, [&](std::size_t item) { ++seen[item]; });
    CHECK(once_each(seen));
  }
  CHECK_THROWS_WITH_AS(for_each_parallel(100, [](std::size_t) { throw UsageError("no"); }), "no", UsageError);
}

#if defined(__linux__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("where the system gives no more threads, the work is done by those there are, and a pool says so") {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none{0, 0};
    // The limit does not hold for root.
    if (setrlimit(RLIMIT_NPROC, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0)) _exit(2);
    std::vector<std::atomic<int>> seen(50);
    for_each_parallel(seen.size(), [&](std::size_t item) { ++seen[item]; });
    if (!once_each(seen)) _exit(3);
    try {
      CpuPool pool(3);
      _exit(4);
    } catch (const UsageError& error) {
      _exit(std::string(error.what()).starts_with("3 threads were asked for, the system gives only 1: ") ? 0
                                                                                                         : 5);
    }
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
#endif

#if defined(__unix__) && !defined(__SANITIZE_THREAD__)  // which allows no threads after a fork
TEST_CASE("a child process has the pool's work done by its own thread") {
  CpuPool pool(3);
  CHECK(once_each(visits(pool, 100, 1)));
  const pid_t child = fork();
  if (child == 0) {
    int result = 1;
    {
      CpuPool inherited_and_new(2);
      result = once_each(visits(pool, 100, 1)) && once_each(visits(inherited_and_new, 100, 1)) ? 0 : 1;
    }
    _exit(result);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
#endif
