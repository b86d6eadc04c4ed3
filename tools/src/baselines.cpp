#include "baselines.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>

namespace isofold::tools {
namespace {

constexpr const char* baseline_source = R"(// Baselines of Isofold's benchmarks.
extern "C" __global__ void isofold_empty() {}

// One 16-byte access per thread.
extern "C" __global__ void __launch_bounds__(512) isofold_copy_1(const uint4* __restrict__ from, uint4* __restrict__ to,
                                                                 long long count) {
  const long long i = blockIdx.x * 512ll + threadIdx.x;
  if (i < count) to[i] = from[i];
}

// Four 16-byte accesses per thread, all loads before the first store.
extern "C" __global__ void __launch_bounds__(256) isofold_copy_4(const uint4* __restrict__ from, uint4* __restrict__ to,
                                                                 long long count) {
  const long long first = blockIdx.x * 1024ll + threadIdx.x;
  uint4 part[4];
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (first + 256 * i < count) part[i] = __ldcs(from + first + 256 * i);
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (first + 256 * i < count) __stcs(to + first + 256 * i, part[i]);
}
)";

constexpr std::size_t empty_launches = 1000;
constexpr std::size_t access_bytes = 16;

/// One row whose copy moves the bytes: the tensors rotate as those of any other Spec do.
std::size_t rotating_copies(RuntimeImpl& runtime, std::size_t half) {
  const double footprint = 1.5 * static_cast<double>(runtime.device().l2_bytes);
  return std::clamp<std::size_t>(static_cast<std::size_t>(footprint / static_cast<double>(2 * half)) + 1, 2,
                                 8192);
}

Module baseline_module(RuntimeImpl& runtime) {
  return Module(runtime.context(),
                runtime.store().cubin(baseline_source, "isofold_baselines.cu", runtime.device().arch));
}

Measurement measure_copy_gpu(RuntimeImpl& runtime, std::size_t half, const TimingEffort& effort) {
  const ContextPointer& context = runtime.context();
  const Module module = baseline_module(runtime);
  const WorkQueue queue(runtime.store().target());
  const std::size_t copies = rotating_copies(runtime, half);
  const WorkBuffer from(queue, copies * half), to(queue, copies * half);
  from.fill(0x3f);
  to.fill(0);
  queue.synchronize();
  const double least = std::max(1.0, static_cast<double>(2 * half) / 4e6);
  const auto wanted = static_cast<std::size_t>(effort.replay_microseconds / least) + 1;
  const std::size_t launches =
      std::max<std::size_t>(1, std::min<std::size_t>(wanted, 8192) / copies) * copies;

  GraphTimer timer(context);
  timer.add(launches, [&](CUstream_st* stream) {
    const CurrentContext current(*context);
    for (std::size_t i = 0; i < launches; ++i) {
      const std::size_t offset = i % copies * half;
      const auto address = [&](const WorkBuffer& b) {
        return reinterpret_cast<cuda::CUdeviceptr>(b.data() + offset);
      };
      context->driver().check(context->api().cuMemcpyDtoDAsync_v2(address(to), address(from), half, stream),
                              "cuMemcpyDtoDAsync");
    }
  });
  struct Variant {
    const char* name;
    unsigned threads, per_block;
  };
  for (const Variant& variant : {Variant{"isofold_copy_1", 512, 512}, Variant{"isofold_copy_4", 256, 1024}}) {
    const DeviceFunction function = module.function(variant.name);
    timer.add(launches, [&](CUstream_st* stream) {
      auto count = static_cast<long long>(half / access_bytes);
      LaunchShape shape;
      shape.block[0] = variant.threads;
      shape.grid[0] = static_cast<unsigned>((count + variant.per_block - 1) / variant.per_block);
      for (std::size_t i = 0; i < launches; ++i) {
        const void* source = from.data() + i % copies * half;
        void* destination = to.data() + i % copies * half;
        std::array<void*, 3> arguments{&source, &destination, &count};
        function.launch(stream, shape, arguments.data());
      }
    });
  }
  const std::vector<Measurement> measured = timer.measure(effort);
  return *std::min_element(measured.begin(), measured.end(), [](const Measurement& a, const Measurement& b) {
    return a.microseconds < b.microseconds;
  });
}

Measurement measure_copy_cpu(RuntimeImpl& runtime, std::size_t half, const TimingEffort& effort) {
  using Clock = std::chrono::steady_clock;
  const WorkQueue queue(runtime.store().target());
  const std::size_t copies = std::max<std::size_t>(2, (std::size_t{96} << 20) / (2 * half) + 1);
  const WorkBuffer from(queue, copies * half), to(queue, copies * half);
  from.fill(0x3f);
  to.fill(0);
  const auto share = static_cast<std::int64_t>(std::size_t{1} << 18);
  std::vector<double> samples;
  Measurement out;
  const Clock::time_point start = Clock::now();
  std::size_t copy = 0;
  while (out.samples < effort.max_samples) {
    const Clock::time_point begin = Clock::now();
    std::size_t done = 0;
    while (done == 0 || 1e6 * seconds_since(begin) < effort.replay_microseconds) {
      const std::size_t offset = copy++ % copies * half;
      runtime.pool()->parallel_for(
          static_cast<std::int64_t>(half), share, [&](std::int64_t first, std::int64_t last) {
            const std::size_t at = offset + static_cast<std::size_t>(first);
            std::memcpy(to.data() + at, from.data() + at, static_cast<std::size_t>(last - first));
          });
      ++done;
    }
    samples.push_back(1e6 * seconds_since(begin) / static_cast<double>(done));
    out = summary(samples);
    if (out.samples >= effort.min_samples &&
        (out.spread <= effort.enough_spread || seconds_since(start) > effort.seconds))
      break;
  }
  return out;
}

}  // namespace

Measurement measure_copy(RuntimeImpl& runtime, std::int64_t bytes, const TimingEffort& effort) {
  const std::size_t half =
      std::max(access_bytes, static_cast<std::size_t>(bytes) / 2 / access_bytes * access_bytes);
  return runtime.is_gpu() ? measure_copy_gpu(runtime, half, effort) : measure_copy_cpu(runtime, half, effort);
}

Measurement measure_empty_kernel(RuntimeImpl& runtime, const TimingEffort& effort) {
  if (!runtime.is_gpu()) throw UsageError("an empty kernel can be measured on a CUDA device only");
  const Module module = baseline_module(runtime);
  const DeviceFunction function = module.function("isofold_empty");
  GraphTimer timer(runtime.context());
  timer.add(empty_launches, [&](CUstream_st* stream) {
    LaunchShape shape;
    shape.block[0] = 32;
    for (std::size_t i = 0; i < empty_launches; ++i) function.launch(stream, shape, nullptr);
  });
  return timer.measure(effort).front();
}

}  // namespace isofold::tools
