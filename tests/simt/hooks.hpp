#pragma once
// What running device code and the scheduler share.

struct SimtIndex {
  unsigned x, y, z;
};

/// The thread that runs.
struct SimtThread {
  SimtIndex thread, block, block_size, grid_size;
};

/// What the scheduler does for a running thread. `line` is the line of the generated text that asks.
struct SimtHooks {
  void (*barrier)(int line);
  unsigned (*shuffle)(unsigned mask, unsigned value, int source_lane, int line);
  int (*lane)();
  void (*cluster_arrive)(int line);
  void (*cluster_wait)(int line);
  /// Shared array `index` of the block, and the block's dynamic shared memory.
  void* (*shared)(int index, unsigned long bytes, unsigned long alignment);
  void* (*dynamic_shared)();
  /// The place in block `rank` of the cluster that `pointer` is in this block.
  void* (*in_block)(void* pointer, int rank);
  /// Checks an access to global memory.
  void (*global_access)(const void* at, unsigned long bytes, bool store);
  /// The thread may now read what the previous kernel wrote (programmatic dependent launch).
  void (*previous_kernel_done)();
};
