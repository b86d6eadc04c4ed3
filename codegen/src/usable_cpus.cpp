#include <isofold/codegen/usable_cpus.hpp>

#include <algorithm>
#include <thread>

#if defined(__linux__)
#include <sched.h>

#include <cerrno>
#include <memory>
#endif

namespace isofold {

int usable_cpus() {
#if defined(__linux__)
  // The kernel refuses a mask (EINVAL) that is smaller than its own, which may hold more than cpu_set_t's
  // 1024.
  constexpr std::size_t most_cpus = std::size_t{1} << 20;
  struct Free {
    void operator()(cpu_set_t* set) const { CPU_FREE(set); }
  };
  for (std::size_t cpus = CPU_SETSIZE; cpus <= most_cpus; cpus *= 2) {
    const std::unique_ptr<cpu_set_t, Free> set(CPU_ALLOC(cpus));
    if (!set) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(cpus);
    if (sched_getaffinity(0, bytes, set.get()) == 0) return std::max(1, CPU_COUNT_S(bytes, set.get()));
    if (errno != EINVAL) break;
  }
#endif
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

}  // namespace isofold
