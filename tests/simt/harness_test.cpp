// The harness itself: right kernels run, and each kind of wrong kernel is reported, not hung on.
#include <doctest/doctest.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "simt/batch.hpp"
#include "simt/host_text.hpp"

using namespace isofold;
using namespace isofold::simt;

namespace {

constexpr Order forward{Order::Kind::forward, 0};
constexpr Order reversed{Order::Kind::reversed, 0};
constexpr Order shuffled{Order::Kind::random, 5};

const std::vector<const char*> kernels{
    // 0: sums 64 numbers across two warps.
    R"(extern "C" __global__ void __launch_bounds__(64) kernel(unsigned* out) {
         __shared__ unsigned sums[2];
         unsigned sum = threadIdx.x + 64 * blockIdx.x;
         for (int distance = 16; distance >= 1; distance /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, distance);
         if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
         __syncthreads();
         out[blockIdx.x * blockDim.x + threadIdx.x] = sums[0] + sums[1];
       })",
    // 1: the same, without the barrier.
    R"(extern "C" __global__ void __launch_bounds__(64) kernel(unsigned* out) {
         __shared__ unsigned sums[2];
         unsigned sum = threadIdx.x + 64 * blockIdx.x;
         for (int distance = 16; distance >= 1; distance /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, distance);
         if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
         out[blockIdx.x * blockDim.x + threadIdx.x] = sums[0] + sums[1];
       })",
    // 2: two barriers that threads choose between.
    R"(extern "C" __global__ void kernel(unsigned* out) {
         if (threadIdx.x < 32)
           __syncthreads();
         else
           __syncthreads();
         out[threadIdx.x] = 0;
       })",
    // 3: a barrier that half of the block does not reach.
    R"(extern "C" __global__ void kernel(unsigned* out) {
         if (threadIdx.x < 32) return;
         __syncthreads();
         out[threadIdx.x] = 0;
       })",
    // 4: a shuffle that one lane does not reach.
    R"(extern "C" __global__ void kernel(unsigned* out) {
         if (threadIdx.x % 32 == 3) return;
         out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, threadIdx.x, 1);
       })",
    // 5: a shuffle that reads a lane outside its mask.
    R"(extern "C" __global__ void kernel(unsigned* out) {
         if (threadIdx.x % 32 < 16) out[threadIdx.x] = __shfl_sync(0xffffu, threadIdx.x, 20);
       })",
    // 6: one lane waits at a barrier, the others of its warp in a shuffle.
    R"(extern "C" __global__ void kernel(unsigned* out) {
         if (threadIdx.x == 0 || threadIdx.x >= 32) __syncthreads();
         if (threadIdx.x < 32) out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, threadIdx.x, 1);
       })",
    // 7: writes behind a shared array.
    R"(extern "C" __global__ void kernel(unsigned* out) {
         __shared__ unsigned sums[64];
         sums[threadIdx.x + 1] = 0;
         out[threadIdx.x] = 0;
       })",
    // 8: neighbours of a cluster exchange their block numbers.
    R"(__device__ __forceinline__ void cluster_arrive() { asm volatile("barrier"); }
       __device__ __forceinline__ void cluster_wait() { asm volatile("barrier"); }
       __device__ __forceinline__ void cluster_sync() { asm volatile("barrier"); }
       __device__ __forceinline__ void store_in_block(float* to, int rank, float value) {
         asm volatile("mapa" :: "r"(rank));
       }
       extern "C" __global__ void kernel(unsigned* out) {
         __shared__ float from_neighbour[1];
         cluster_arrive();
         cluster_wait();
         if (threadIdx.x == 0) store_in_block(&from_neighbour[0], blockIdx.x % 4 ^ 1, blockIdx.x);
         cluster_sync();
         out[blockIdx.x * blockDim.x + threadIdx.x] = from_neighbour[0];
       })",
    // 9: the same, without waiting until the neighbour has started.
    R"(__device__ __forceinline__ void cluster_sync() { asm volatile("barrier"); }
       __device__ __forceinline__ void store_in_block(float* to, int rank, float value) {
         asm volatile("mapa" :: "r"(rank));
       }
       extern "C" __global__ void kernel(unsigned* out) {
         __shared__ float from_neighbour[1];
         if (threadIdx.x == 0) store_in_block(&from_neighbour[0], blockIdx.x % 4 ^ 1, blockIdx.x);
         cluster_sync();
         out[blockIdx.x * blockDim.x + threadIdx.x] = from_neighbour[0];
       })",
    // 10: a misaligned access, one out of the row, and a store to memory that is only read.
    R"(__device__ __forceinline__ void load_8(unsigned* words, const void* from) { asm volatile("ld"); }
       __device__ __forceinline__ void store_4_streaming(void* to, const unsigned* words) { asm volatile("st"); }
       extern "C" __global__ void kernel(unsigned* out, long long place, long long what) {
         unsigned words[2] = {};
         if (what == 0) load_8(words, out + place);
         if (what == 1) store_4_streaming(out + place, words);
       })",
    // 11: touches memory before it waits for the previous kernel.
    R"(__device__ __forceinline__ void load_4(unsigned* words, const void* from) { asm volatile("ld"); }
       __device__ __forceinline__ void wait_for_previous_kernel() { asm volatile("wait"); }
       extern "C" __global__ void kernel(unsigned* out, long long late) {
         unsigned words[1];
         if (!late) wait_for_previous_kernel();
         load_4(words, out);
         if (late) wait_for_previous_kernel();
       })",
    // 12: dynamic shared memory, which starts as NaN.
    R"(extern "C" __global__ void kernel(unsigned* out) {
         extern __shared__ unsigned words[];
         if (threadIdx.x < 32) words[threadIdx.x] = threadIdx.x;
         __syncthreads();
         out[threadIdx.x] = words[threadIdx.x];
       })",
};

/// All kernels in one compiled batch, on 64 threads and four blocks.
class Harness {
 public:
  Harness() : batch_(sources()), out_({.rows = 1, .n = 256}) {}

  std::string run(std::size_t kernel, const Order& order, std::vector<std::int64_t> numbers = {},
                  Launch launch = {}) {
    void* data = out_.data();
    std::vector<void*> arguments{&data};
    for (std::int64_t& number : numbers) arguments.push_back(&number);
    launch.blocks = 4;
    launch.block_threads = 64;
    const std::vector<GlobalRange> memory{{out_.row(0), 1, 64 * 4, 64 * 4, false}};
    return batch_.run(kernel, "kernel", launch, arguments.data(), order, memory);
  }
  std::uint32_t out(std::int64_t index) const { return out_.bits(0, index); }

 private:
  static std::vector<CudaSource> sources() {
    std::vector<CudaSource> sources;
    for (const char* kernel : kernels) {
      CudaSource source;
      source.text = kernel;
      source.entries = {"kernel"};
      source.program_name = "kernel.cu";
      sources.push_back(source);
    }
    return sources;
  }
  Batch batch_;
  testing::HostTensor out_;
};

Harness& harness() {
  static Harness harness;
  return harness;
}

}  // namespace

TEST_CASE("a right kernel gives the same in every order") {
  for (const Order& order : {forward, reversed, shuffled}) {
    CHECK(harness().run(0, order) == "");
    for (std::int64_t i = 0; i < 256; ++i)
      CHECK(harness().out(i) == static_cast<std::uint32_t>(63 * 32 + 64 * 64 * (i / 64)));
  }
}

TEST_CASE("a missing barrier shows in the results") {
  bool wrong = false;
  for (const Order& order : {forward, reversed}) {
    CHECK(harness().run(1, order) == "");
    for (std::int64_t i = 0; i < 64; ++i) wrong = wrong || harness().out(i) != 63 * 32;
  }
  CHECK(wrong);
}

TEST_CASE("barriers and shuffles that threads do not reach together") {
  CHECK(harness().run(2, forward) ==
        "block 0 thread 32, line 5: __syncthreads, but others of the block wait for it in line 3");
  CHECK(harness().run(3, forward) ==
        "block 0 thread 32, line 3: __syncthreads after a thread of the block has ended");
  CHECK(harness().run(3, reversed) ==
        "block 3 thread 31: ended while others of the block wait for __syncthreads");
  CHECK(harness().run(4, forward) == "block 0 thread 4, line 3: shuffle, but lane 3 has ended");
  CHECK(harness().run(4, shuffled).find("lane 3 has ended") != std::string::npos);
  CHECK(harness().run(5, forward) ==
        "block 0 thread 0, line 2: shuffle reads lane 20, which is not in its mask");
  const std::string deadlock = harness().run(6, forward);
  CHECK(
      deadlock.starts_with("deadlock: block 0 thread 0 waits for __syncthreads in line 2; "
                           "block 0 thread 1 waits for a shuffle in line 3;"));
}

TEST_CASE("shared memory has bounds and starts poisoned") {
  CHECK(harness().run(7, forward) == "block 0: shared array 1 of 256 bytes was written at byte 256");
  CHECK(harness().run(12, forward, {}, {.dynamic_shared_bytes = 256}) == "");
  CHECK(harness().out(31) == 31);
  CHECK(harness().out(32) == 0x7fd17fd1);
  CHECK(harness().run(12, forward, {}, {.dynamic_shared_bytes = 64}) ==
        "block 0: shared array 0 of 64 bytes was written at byte 64");
}

TEST_CASE("blocks of a cluster run together") {
  for (const Order& order : {forward, reversed, shuffled}) {
    CHECK(harness().run(8, order, {}, {.cluster_blocks = 4}) == "");
    const float neighbours[] = {1, 0, 3, 2};
    for (std::int64_t block = 0; block < 4; ++block)
      CHECK(harness().out(64 * block + 63) == static_cast<std::uint32_t>(neighbours[block]));
  }
  CHECK(harness().run(9, forward, {}, {.cluster_blocks = 4}) ==
        "block 0 thread 0: writes to block 1 of the cluster, which has not started");
}

TEST_CASE("global memory is accessed where it may be") {
  CHECK(harness().run(10, forward, {62, 0}) == "");
  CHECK(harness().run(10, forward, {61, 0}) == "block 0 thread 0: load of 8 bytes is misaligned");
  CHECK(harness().run(10, forward, {64, 0}) == "block 0 thread 0: load of 8 bytes outside every row");
  CHECK(harness().run(10, forward, {-2, 0}) == "block 0 thread 0: load of 8 bytes outside every row");
  CHECK(harness().run(10, forward, {0, 1}) == "block 0 thread 0: store of 4 bytes outside every row");
  CHECK(harness().run(11, forward, {0}, {.dependent = true}) == "");
  CHECK(harness().run(11, forward, {1}) == "");
  CHECK(harness().run(11, forward, {1}, {.dependent = true}) ==
        "block 0 thread 0: touches global memory before it has waited for the previous kernel");
}

TEST_CASE("text that is not understood is refused") {
  CHECK_THROWS_WITH_AS(host_text("__device__ __forceinline__ void warp_vote() { asm(\"vote\"); }"),
                       "helper warp_vote holds PTX and has no host form in host_helpers.hpp",
                       std::runtime_error);
  CHECK_THROWS_WITH_AS(host_text("__global__ void k() { asm(\"bar.sync 0;\"); }"),
                       "PTX outside a helper function", std::runtime_error);
  CHECK_THROWS_AS(host_text("__global__ void k() { __shared__ Box box; }"), std::runtime_error);
  CHECK(host_text("int a; // asm __shared__\n/* asm\n */ int b;") ==
        "int a;" + std::string(18, ' ') + "\n      \n    int b;");
}

TEST_CASE("texts are one program on the host when they differ in nothing that runs there") {
  const auto program = [](const std::string& constants, const std::string& helpers, const std::string& body) {
    return host_program(constants + "// a comment\n" + helpers + "extern \"C\" __global__ void kernel(unsigned* out) {\n" + body + "\n}");
  };
  const std::string load = "__device__ __forceinline__ void load_4(unsigned* words, const void* from) { asm volatile(\"ld\"); }\n";
  const std::string plain = program("constexpr int RESIDENT_BLOCKS = 8;  // of 8\n", load, "  load_4(out, out);\n");
  CHECK(plain.find("simt_host::load_4(words, from)") != std::string::npos);
  // Register bounds, the instruction behind a helper, white space, dependent launch.
  CHECK(plain == program("constexpr int RESIDENT_BLOCKS = 16;\n", "__device__ __forceinline__ void load_4(unsigned* words, const void* "
                         "from) { asm volatile(\"ld.no_allocate\"); }\n\n", "load_4(out,\n out);"));
  CHECK(plain == program("constexpr int RESIDENT_BLOCKS = 8;\n",
                         "__device__ __forceinline__ void wait_for_previous_kernel() { asm volatile(\"wait\"); }\n" + load,
                         "wait_for_previous_kernel();\n load_4(out, out);\n"));
  // A constant, a helper's name, a call, a word that ends.
  CHECK(plain != program("constexpr int RESIDENT_BLOCKS = 8, LANES = 8;\n", load, "load_4(out, out);\n"));
  CHECK(plain != program("constexpr int RESIDENT_BLOCKS = 8;\n", load, "load_4(out, out);\nload_4(out, out);\n"));
  CHECK(program("", "", "int unsigned a;") != program("", "", "intunsigned a;"));
}
