#include "parallel.hpp"

#include <isofold/codegen/usable_cpus.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "blocked_signals.hpp"

namespace isofold {
void for_each_parallel(std::size_t count, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  const auto drain = [&] {
    for (std::size_t item = next++; item < count; item = next++) {
      try {
        work(item);
      } catch (...) {
        next = count;
        const std::lock_guard guard(mutex);
        if (!failure) failure = std::current_exception();
      }
    }
  };
  std::vector<std::jthread> helpers;
  const std::size_t threads = std::min(count, static_cast<std::size_t>(usable_cpus()));
  helpers.reserve(threads);
  try {
    const BlockedSignals blocked;
    while (helpers.size() + 1 < threads) helpers.emplace_back(drain);
  } catch (const std::system_error&) {
    // The system gives no more threads: those there are do all of it.
  }
  drain();
  helpers.clear();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace isofold
