/* nvtx_test <profiler's library>: ranges are shown to a profiler when `nvtx` says so, and to a program that does not know of it
 * when the environment does. */
#include <dlfcn.h>
#include <isofold.h>
#include <stddef.h>
#include <stdlib.h>

#include "check.h"

/* 77 without a CPU backend. */
static int prepare_and_launch(const isofold_runtime_options* options) {
  isofold_runtime* runtime = NULL;
  if (isofold_runtime_create(options, &runtime) == ISOFOLD_ERROR_USAGE && strstr(isofold_last_error(), "without LLVM") != NULL) return 77;
  const isofold_operator_options make = {.struct_size = sizeof make, .name = "sum", .n = 4, .dtype = "f32"};
  isofold_operator* sum = NULL;
  CHECK_OK(isofold_operator_create(runtime, &make, &sum));
  const isofold_prepare_options prepare = {.struct_size = sizeof prepare, .max_tokens = 2};
  CHECK_OK(isofold_operator_prepare(sum, &prepare));
  const float x[8] = {1, 1, 1, 1, 2, 2, 2, 2};
  float y[2] = {0, 0};
  const isofold_const_tensor input = {x, 0, sizeof x};
  const isofold_tensor output = {y, 0, sizeof y};
  const isofold_launch_options launch = {
      .struct_size = sizeof launch, .inputs = &input, .input_count = 1, .outputs = &output, .output_count = 1, .tokens = 2};
  CHECK_OK(isofold_operator_launch(sum, &launch));
  CHECK(y[0] == 4 && y[1] == 8);
  CHECK_OK(isofold_operator_release(sum));
  CHECK_OK(isofold_runtime_release(runtime));
  return 0;
}

int main(int count, char** arguments) {
  if (count != 2) return 2;
  void* profiler = dlopen(arguments[1], RTLD_NOW);
  if (profiler == NULL) {
    puts(dlerror());
    return 2;
  }
  const char* (*shown)(void) = NULL;
  *(void**)&shown = dlsym(profiler, "fake_profiler_log");
  unsetenv("ISOFOLD_NVTX");
  isofold_runtime_options options = {.struct_size = sizeof options, .device = "cpu", .cache_folder = "off"};
  if (prepare_and_launch(&options) == 77) return 77;
  CHECK(shown()[0] == '\0');
  options.nvtx = 1;
  prepare_and_launch(&options);
  const char* ranges = "isofold push prepare row_sum 2;pop;isofold push row_sum 2;pop;";
  CHECK(strcmp(shown(), ranges) == 0);
  options.struct_size = offsetof(isofold_runtime_options, nvtx);
  prepare_and_launch(&options);
  CHECK(strlen(shown()) == strlen(ranges));
  setenv("ISOFOLD_NVTX", "on", 1);
  prepare_and_launch(&options);
  CHECK(strlen(shown()) == 2 * strlen(ranges));
  if (checks_failed != 0) puts(shown());
  return checks_failed != 0;
}
