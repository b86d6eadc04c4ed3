#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "simt/hooks.hpp"

namespace isofold::simt {

/// Which thread runs when several could. A thread runs until it waits, and the first ready warp of the order
/// always goes on, so that in one of forward and reversed a thread gets as far ahead of another as barriers
/// allow.
struct Order {
  enum class Kind : std::uint8_t { forward, reversed, random };
  Kind kind = Kind::forward;
  std::uint64_t seed = 0;  // random
};

/// Global memory that a kernel may touch: rows of `row_bytes`, `row_stride` bytes apart.
struct GlobalRange {
  const std::byte* begin = nullptr;
  std::size_t rows = 1;
  std::size_t row_bytes = 0;
  std::size_t row_stride = 0;
  bool writable = false;
};

/// The shape of a launch, and the loaded module whose kernel is launched.
struct Launch {
  void (*entry)(void** arguments) = nullptr;
  const SimtHooks** hooks = nullptr;     // the module's simt_hooks
  const SimtThread** current = nullptr;  // the module's simt_current
  unsigned blocks = 1;                   // a multiple of cluster_blocks
  unsigned block_threads = 32;           // at most 1024
  unsigned cluster_blocks = 1;
  std::size_t dynamic_shared_bytes = 0;
  bool dependent = false;  // each thread must wait for the previous kernel before it touches global memory
};

/// Runs kernels on the host: every thread is a fiber, the blocks of a cluster run together, clusters one by
/// one. Not thread-safe; several schedulers may run at once in threads of their own, each with modules of its
/// own.
class Scheduler {
 public:
  Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  ~Scheduler();

  /// Runs a launch to its end. Empty when all went well; else the first fault, in words: threads that meet at
  /// different barriers or wait for ever, a lane that is missing from a shuffle, shared memory written out of
  /// bounds, a global access that is misaligned or outside `memory`, a block of the cluster that is written
  /// before it started or after it ended.
  std::string run(const Launch& launch, void** arguments, const Order& order,
                  std::span<const GlobalRange> memory);

 private:
  class Gang;
  std::unique_ptr<Gang> gang_;
};

}  // namespace isofold::simt
