#pragma once
#include <map>

#include "cuda_api.hpp"

/// What the stand-in for libcuda has seen. The numbers of objects are those that are alive.
struct FakeCuda {
  int contexts = 0, libraries = 0, streams = 0, events = 0, graphs = 0, graph_execs = 0, buffers = 0,
      pinned = 0;
  int function_loads = 0, waits = 0, switches = 0;
  isofold::cuda::CUstreamCaptureStatus capture = isofold::cuda::CU_STREAM_CAPTURE_STATUS_NONE;
  std::map<unsigned, int> function_attributes;
  isofold::cuda::CUlaunchConfig launch{};
  isofold::cuda::CUlaunchAttribute attributes[2]{};
  int argument = 0;
};
