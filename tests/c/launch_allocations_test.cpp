// A prepared launch through the C API allocates nothing, a refused one nothing that stays. Every allocation of the process
// goes through these functions, whichever library asks.
#include <isofold.h>

#include <dlfcn.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace {
std::atomic<long> allocations = 0;
}

extern "C" void* __libc_malloc(std::size_t);
extern "C" void* malloc(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(bytes);
}

int main() {
  isofold_runtime_options options{};
  options.struct_size = sizeof options;
  options.device = "cpu";
  options.cache_folder = "off";
  isofold_runtime* runtime = nullptr;
  if (isofold_runtime_create(&options, &runtime) != ISOFOLD_OK) {
    std::puts(isofold_last_error());
    return 77;
  }
  isofold_operator_options make{};
  make.struct_size = sizeof make;
  make.name = "rms_norm";
  make.n = 512;
  make.dtype = "f32";
  isofold_operator* op = nullptr;
  isofold_prepare_options prepare{};
  prepare.struct_size = sizeof prepare;
  prepare.max_tokens = 64;
  static float x[64 * 512], weight[512], y[64 * 512];
  const isofold_const_tensor inputs[] = {{x, 0, sizeof x}, {weight, 0, sizeof weight}};
  const isofold_tensor output{y, 0, sizeof y};
  isofold_launch_options launch{};
  launch.struct_size = sizeof launch;
  launch.inputs = inputs;
  launch.input_count = 2;
  launch.outputs = &output;
  launch.output_count = 1;
  if (isofold_operator_create(runtime, &make, &op) != ISOFOLD_OK || isofold_operator_prepare(op, &prepare) != ISOFOLD_OK) {
    std::puts(isofold_last_error());
    return 1;
  }
  const long before = allocations;
  if (before == 0) {
    std::puts("allocations are not counted");
    return 1;
  }
  for (launch.tokens = 0; launch.tokens <= 64; ++launch.tokens)
    if (isofold_operator_launch(op, &launch) != ISOFOLD_OK) return 1;
  const long made = allocations - before;
  std::printf("%ld allocations in 65 launches\n", made);
  isofold_operator_release(op);
  isofold_runtime_release(runtime);
  return made != 0;
}
