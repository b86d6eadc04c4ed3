// Compiled without sanitizers: its functions run on the fibers' stacks.
#include "simt/scheduler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "simt/fiber.hpp"
#include "simt/shared_memory.hpp"
#include "support/random.hpp"

namespace isofold::simt {
namespace {

constexpr unsigned warp_size = 32;

enum class State : std::uint8_t { ready, barrier, shuffle, cluster, done };

struct Thread {
  SimtThread info{};
  Context context = nullptr;
  State state = State::ready;
  int line = 0;  // of the generated text, where the thread waits
  unsigned mask = 0;
  unsigned value = 0;
  int source_lane = 0;
  bool arrived_at_cluster = false;
  std::size_t cluster_phase = 0;  // in which it arrived
  bool previous_kernel_done = false;
};

struct Block {
  SharedMemory shared;
  unsigned waiting = 0;  // at the barrier of barrier_line
  int barrier_line = 0;
  unsigned done = 0;
  bool started = false;
};

std::string_view what_waits(State state) {
  switch (state) {
    case State::barrier:
      return "__syncthreads";
    case State::shuffle:
      return "a shuffle";
    case State::cluster:
      return "the cluster's barrier";
    case State::ready:
    case State::done:
      break;
  }
  return "nothing";
}

}  // namespace

/// The blocks that run together: one cluster, or one block.
class Scheduler::Gang {
 public:
  Gang() {
    hooks_.barrier = [](int line) { running->barrier(line); };
    hooks_.shuffle = [](unsigned mask, unsigned value, int source, int line) {
      return running->shuffle(mask, value, source, line);
    };
    hooks_.lane = [] { return static_cast<int>(running->self_ % warp_size); };
    hooks_.cluster_arrive = [](int line) { running->cluster_arrive(line); };
    hooks_.cluster_wait = [](int line) { running->cluster_wait(line); };
    hooks_.shared = [](int index, unsigned long bytes, unsigned long alignment) -> void* {
      return running->own_block().shared.array(static_cast<std::size_t>(index) + 1, bytes, alignment);
    };
    hooks_.dynamic_shared = []() -> void* {
      return running->own_block().shared.array(0, running->launch_->dynamic_shared_bytes, 1024);
    };
    hooks_.in_block = [](void* pointer, int rank) { return running->in_block(pointer, rank); };
    hooks_.global_access = [](const void* at, unsigned long bytes, bool store) {
      running->global_access(at, bytes, store);
    };
    hooks_.previous_kernel_done = [] { running->thread().previous_kernel_done = true; };
  }

  std::string run(const Launch& launch, void** arguments, const Order& order,
                  std::span<const GlobalRange> memory) {
    launch_ = &launch;
    arguments_ = arguments;
    order_ = order;
    memory_ = memory;
    random_ = testing::Random(order.seed);
    failure_.clear();
    *launch.hooks = &hooks_;
    running = this;
    const unsigned gangs = launch.blocks / launch.cluster_blocks;
    for (unsigned i = 0; i < gangs && failure_.empty(); ++i)
      run_gang((order.kind == Order::Kind::reversed ? gangs - 1 - i : i) * launch.cluster_blocks);
    running = nullptr;
    return failure_;
  }

 private:
  static thread_local Gang* running;

  void run_gang(unsigned first_block) {
    prepare(first_block);
    const std::size_t total = threads_.size();
    while (done_ < total && failure_.empty()) {
      const std::size_t warp = next_warp();
      if (warp == ready_.size())
        report_deadlock();
      else
        run_warp(warp);
    }
    for (std::size_t b = 0; b < blocks_.size() && failure_.empty(); ++b)
      if (const std::string what = blocks_[b].shared.broken_guard(); !what.empty())
        failure_ = fmt::format("block {}: {}", first_block + b, what);
    for (std::size_t t = 0; t < total && failure_.empty(); ++t)
      if (!stacks_.is_whole(t)) failure_ = "a thread used more than its stack";
  }

  void prepare(unsigned first_block) {
    blocks_.resize(launch_->cluster_blocks);
    for (Block& block : blocks_) {
      block.shared.clear();
      block.waiting = block.done = 0;
      block.started = false;
    }
    threads_.assign(std::size_t{launch_->cluster_blocks} * launch_->block_threads, Thread{});
    warps_per_block_ = (launch_->block_threads + warp_size - 1) / warp_size;
    ready_.assign(blocks_.size() * warps_per_block_, 0);
    for (std::size_t t = 0; t < threads_.size(); ++t) {
      const unsigned block = first_block + static_cast<unsigned>(t / launch_->block_threads);
      const unsigned index = static_cast<unsigned>(t % launch_->block_threads);
      threads_[t].info = {
          {index, 0, 0}, {block, 0, 0}, {launch_->block_threads, 1, 1}, {launch_->blocks, 1, 1}};
      threads_[t].context = make_context(stacks_.stack(t), &thread_main);
      make_ready(t);
    }
    done_ = arrived_ = cluster_phase_ = 0;
  }

  // Lane and warp are counted inside the block; block_threads is a power of two of 32 or more, or below 32.
  std::size_t warp_of(std::size_t t) const {
    return t / launch_->block_threads * warps_per_block_ + t % launch_->block_threads / warp_size;
  }
  std::size_t first_thread(std::size_t warp) const {
    return warp / warps_per_block_ * launch_->block_threads + warp % warps_per_block_ * warp_size;
  }
  unsigned lane_of(std::size_t t) const {
    return static_cast<unsigned>(t % launch_->block_threads % warp_size);
  }

  void make_ready(std::size_t t) {
    threads_[t].state = State::ready;
    ready_[warp_of(t)] |= 1u << lane_of(t);
  }

  /// The warp that goes on, or the number of warps when none can.
  std::size_t next_warp() {
    const std::size_t count = ready_.size();
    const std::size_t start = order_.kind == Order::Kind::random ? random_.below(count) : 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t warp = order_.kind == Order::Kind::reversed ? count - 1 - i : (start + i) % count;
      if (ready_[warp]) return warp;
    }
    return count;
  }

  void run_warp(std::size_t warp) {
    const unsigned rotate =
        order_.kind == Order::Kind::random ? static_cast<unsigned>(random_.below(warp_size)) : 0;
    for (unsigned i = 0; i < warp_size && failure_.empty(); ++i) {
      const unsigned lane =
          order_.kind == Order::Kind::reversed ? warp_size - 1 - i : (i + rotate) % warp_size;
      if (!(ready_[warp] >> lane & 1)) continue;
      ready_[warp] &= ~(1u << lane);
      self_ = first_thread(warp) + lane;
      own_block().started = true;
      *launch_->current = &thread().info;
      switch_context(scheduler_, thread().context);
    }
  }

  static void thread_main() {
    running->launch_->entry(running->arguments_);
    running->end_thread();
  }

  Thread& thread() { return threads_[self_]; }
  Block& own_block() { return blocks_[self_ / launch_->block_threads]; }

  /// Leaves the running fiber until it is made ready, or for ever.
  void wait(State state, int line) {
    thread().state = state;
    thread().line = line;
    switch_context(thread().context, scheduler_);
  }

  /// Ends the launch. Takes no strings: the frames of the running fiber are never left, so nothing in them is
  /// freed.
  template <class... Values>
  void fail(int line, fmt::format_string<Values...> format, Values&&... values) {
    note(line, fmt::format(format, std::forward<Values>(values)...));
    switch_context(thread().context, scheduler_);
  }
  void fail_with(int line, const char* what, std::size_t other) {
    note(line, fmt::format("{}, but {}", what, describe(other)));
    switch_context(thread().context, scheduler_);
  }
  void note(int line, const std::string& what) {
    const SimtThread& info = thread().info;
    const std::string place = line > 0 ? fmt::format(", line {}", line) : "";
    failure_ = fmt::format("block {} thread {}{}: {}", info.block.x, info.thread.x, place, what);
  }

  std::string describe(std::size_t t) const {
    const Thread& other = threads_[t];
    return fmt::format("block {} thread {} waits for {} in line {}", other.info.block.x, other.info.thread.x,
                       what_waits(other.state), other.line);
  }

  void end_thread() {
    thread().state = State::done;
    ++done_;
    ++own_block().done;
    if (own_block().waiting > 0) fail(0, "ended while others of the block wait for __syncthreads");
    if (thread().arrived_at_cluster)
      fail(0, "ended between arriving at the cluster's barrier and waiting for it");
    switch_context(thread().context, scheduler_);
  }

  void report_deadlock() {
    failure_ = "deadlock:";
    std::string last;
    for (std::size_t t = 0; t < threads_.size(); ++t) {
      if (threads_[t].state == State::done) continue;
      failure_ += fmt::format(" {};", describe(t));
      if (failure_.size() > 600) {
        failure_ += " and others";
        break;
      }
    }
  }

  void barrier(int line) {
    Block& block = own_block();
    if (block.done > 0) fail(line, "__syncthreads after a thread of the block has ended");
    if (block.waiting == 0) block.barrier_line = line;
    if (block.barrier_line != line)
      fail(line, "__syncthreads, but others of the block wait for it in line {}", block.barrier_line);
    if (++block.waiting < launch_->block_threads) return wait(State::barrier, line);
    block.waiting = 0;
    const std::size_t first = self_ / launch_->block_threads * launch_->block_threads;
    for (std::size_t t = first; t < first + launch_->block_threads; ++t)
      if (t != self_) make_ready(t);
  }

  unsigned shuffle(unsigned mask, unsigned value, int source_lane, int line) {
    const std::size_t warp = warp_of(self_);
    const std::size_t first = first_thread(warp);
    const unsigned lanes = std::min(warp_size, launch_->block_threads);
    if (lanes < warp_size) mask &= (1u << lanes) - 1;
    if (!(mask >> lane_of(self_) & 1)) fail(line, "shuffle by a lane that is not in its mask");
    if (!(mask >> source_lane & 1))
      fail(line, "shuffle reads lane {}, which is not in its mask", source_lane);
    Thread& own = thread();
    own.mask = mask;
    own.value = value;
    own.source_lane = source_lane;
    bool complete = true;
    for (unsigned lane = 0; lane < lanes; ++lane) {
      const Thread& other = threads_[first + lane];
      if (!(mask >> lane & 1) || &other == &own) continue;
      if (other.state == State::shuffle && (other.line != line || other.mask != mask))
        fail_with(line, "shuffle", first + lane);
      if (other.state == State::done) fail(line, "shuffle, but lane {} has ended", lane);
      complete = complete && other.state == State::shuffle;
    }
    if (!complete) {
      wait(State::shuffle, line);
      return thread().value;
    }
    unsigned values[warp_size];
    for (unsigned lane = 0; lane < lanes; ++lane) values[lane] = threads_[first + lane].value;
    for (unsigned lane = 0; lane < lanes; ++lane) {
      if (!(mask >> lane & 1)) continue;
      Thread& other = threads_[first + lane];
      other.value = values[other.source_lane];
      if (&other != &own) make_ready(first + lane);
    }
    return own.value;
  }

  void cluster_arrive(int line) {
    if (thread().arrived_at_cluster) fail(line, "arrives at the cluster's barrier twice");
    thread().arrived_at_cluster = true;
    thread().cluster_phase = cluster_phase_;
    if (++arrived_ < threads_.size()) return;
    arrived_ = 0;
    ++cluster_phase_;
    for (std::size_t t = 0; t < threads_.size(); ++t)
      if (threads_[t].state == State::cluster) make_ready(t);
  }

  void cluster_wait(int line) {
    if (!thread().arrived_at_cluster) fail(line, "waits for the cluster without having arrived");
    thread().arrived_at_cluster = false;
    if (thread().cluster_phase == cluster_phase_) wait(State::cluster, line);
  }

  void* in_block(void* pointer, int rank) {
    if (rank < 0 || rank >= static_cast<int>(blocks_.size()))
      fail(0, "writes to block {} of a cluster of {}", rank, blocks_.size());
    Block& other = blocks_[static_cast<std::size_t>(rank)];
    if (!other.started) fail(0, "writes to block {} of the cluster, which has not started", rank);
    if (other.done == launch_->block_threads)
      fail(0, "writes to block {} of the cluster, which has ended", rank);
    std::byte* place = own_block().shared.same_place(pointer, other.shared);
    if (!place) fail(0, "maps an address that is not in shared memory");
    return place;
  }

  void global_access(const void* at, std::size_t bytes, bool store) {
    const auto* begin = static_cast<const std::byte*>(at);
    if (launch_->dependent && !thread().previous_kernel_done)
      fail(0, "touches global memory before it has waited for the previous kernel");
    if (reinterpret_cast<std::uintptr_t>(at) % bytes != 0)
      fail(0, "{} of {} bytes is misaligned", store ? "store" : "load", bytes);
    for (const GlobalRange& range : memory_) {
      if (begin < range.begin || (store && !range.writable)) continue;
      const auto offset = static_cast<std::size_t>(begin - range.begin);
      if (range.row_bytes > 0 && offset / range.row_stride < range.rows && offset % range.row_stride + bytes <= range.row_bytes)
        return;
    }
    fail(0, "{} of {} bytes outside every row", store ? "store" : "load", bytes);
  }

  SimtHooks hooks_{};
  StackPool stacks_;
  const Launch* launch_ = nullptr;
  void** arguments_ = nullptr;
  Order order_;
  std::span<const GlobalRange> memory_;
  testing::Random random_{0};
  std::string failure_;
  Context scheduler_ = nullptr;
  std::vector<Block> blocks_;
  std::vector<Thread> threads_;
  std::vector<unsigned> ready_;  // per warp, a bit for each ready lane
  std::size_t warps_per_block_ = 1;
  std::size_t self_ = 0;  // the running thread
  std::size_t done_ = 0;
  std::size_t arrived_ = 0;        // at the cluster's barrier in this phase
  std::size_t cluster_phase_ = 0;  // how often the barrier has been completed
};

thread_local Scheduler::Gang* Scheduler::Gang::running = nullptr;

Scheduler::Scheduler() : gang_(std::make_unique<Gang>()) {}
Scheduler::~Scheduler() = default;

std::string Scheduler::run(const Launch& launch, void** arguments, const Order& order,
                           std::span<const GlobalRange> memory) {
  return gang_->run(launch, arguments, order, memory);
}

}  // namespace isofold::simt
