#include "process.hpp"

#include <pthread.h>

#include <atomic>

namespace isofold {
namespace {

std::atomic<int> generation{0};

}  // namespace

int process_generation() {
  [[maybe_unused]] static const int watching =
      pthread_atfork(nullptr, nullptr, [] { generation.fetch_add(1, std::memory_order_relaxed); });
  return generation.load(std::memory_order_relaxed);
}

}  // namespace isofold
