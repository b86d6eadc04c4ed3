#pragma once
#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <cfenv>
#endif

namespace isofold {

/// IEEE arithmetic as the numerics rules want it, on the calling thread for as long as the object lives:
/// round to nearest even, subnormals kept, nothing trapped. Restores what was set before, exception flags
/// included.
class FloatEnvironment {
 public:
  FloatEnvironment();
  ~FloatEnvironment();
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
#if defined(__x86_64__)
  std::uint32_t saved_ = 0;
#elif defined(__aarch64__)
  std::uint64_t saved_ = 0;
#else
  std::fenv_t saved_{};
#endif
};

/// Threads that share the rows of a launch. Waiting threads sleep. One launch at a time uses the pool:
/// whoever comes while it is busy (another thread, a body that launches again), and a child process after
/// fork, does all its rows on the calling thread. Thread-safe except for construction and destruction.
class CpuPool {
 public:
  /// `threads`: how many work on a launch, the calling thread among them; at least 1. Throws UsageError when
  /// the system does not give that many.
  explicit CpuPool(int threads);
  ~CpuPool();
  CpuPool(const CpuPool&) = delete;
  CpuPool& operator=(const CpuPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(first, last) for ranges of at most `grain` (>= 1) that cover 0 .. count - 1 once each, in
  /// FloatEnvironment, and returns when all are done. The body must not throw. Allocates nothing.
  template <class Body>
  void parallel_for(std::int64_t count, std::int64_t grain, const Body& body) {
    static_assert(std::is_invocable_v<const Body&, std::int64_t, std::int64_t>);
    const auto call = [](const void* context, std::int64_t first, std::int64_t last) {
      (*static_cast<const Body*>(context))(first, last);
    };
    run({call, &body, count, grain});
  }

 private:
  struct Job {
    void (*call)(const void* context, std::int64_t first, std::int64_t last) = nullptr;
    const void* context = nullptr;
    std::int64_t count = 0;
    std::int64_t grain = 1;
  };

  void run(const Job& job);
  void run_ranges();
  void work();
  bool enter();
  void leave();
  void stop();

  std::vector<std::thread> workers_;
  const int process_generation_;
  std::atomic<bool> busy_{false};
  Job job_;                            // written while the gate is closed
  std::atomic<std::int64_t> next_{0};  // first row that nobody has taken
  std::atomic<int> launches_{0};       // workers sleep until it changes
  std::atomic<int> gate_;              // workers inside a launch; `closed` is added when none may enter
  std::atomic<bool> stopping_{false};
};

}  // namespace isofold
