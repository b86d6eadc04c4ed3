#pragma once
#include <cstddef>
#include <map>

#include "cuda_api.hpp"

/// What the stand-in for libcuda says of both its devices.
inline constexpr int software_multiprocessors = 132, software_threads_per_multiprocessor = 2048,
                     software_registers_per_multiprocessor = 65536, software_shared_bytes_per_multiprocessor = 233472,
                     software_shared_bytes_per_block = 232448, software_l2_bytes = 1 << 20;
inline constexpr std::size_t software_memory_bytes = std::size_t{6} << 30;

/// What ending a capture returns that was not begun, or was in another thread: CUDA_ERROR_ILLEGAL_STATE and
/// CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD.
inline constexpr isofold::cuda::CUresult illegal_state{401}, wrong_capture_thread{908};

/// What the stand-in has seen. The numbers of objects are those that are alive.
struct SoftwareGpu {
  int contexts = 0, libraries = 0, streams = 0, events = 0, graphs = 0, graph_execs = 0, buffers = 0,
      pinned = 0;
  int function_loads = 0, waits = 0, switches = 0;
  std::size_t device_bytes = 0;
  std::map<unsigned, int> function_attributes;
  isofold::cuda::CUlaunchConfig launch{};
  isofold::cuda::CUlaunchAttribute attributes[2]{};
  int argument = 0;  // the first of the last launch of a kernel that computes nothing
};
