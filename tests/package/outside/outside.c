/* An application in C that knows of Isofold only what is installed. */
#include <isofold.h>
#include <stdio.h>
#include <string.h>

static int failed(void) {
  puts(isofold_last_error());
  return strstr(isofold_last_error(), "without LLVM") != NULL ? 77 : 1;
}

int main(void) {
  isofold_runtime_options options = {.struct_size = sizeof options, .device = "cpu", .cache_folder = "off"};
  isofold_runtime* runtime = NULL;
  isofold_operator* mean = NULL;
  const isofold_operator_options make = {.struct_size = sizeof make, .name = "mean", .n = 4, .dtype = "f32"};
  if (isofold_runtime_create(&options, &runtime) != ISOFOLD_OK || isofold_operator_create(runtime, &make, &mean) != ISOFOLD_OK) return failed();
  const float x[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  float y[2] = {0, 0};
  const isofold_const_tensor input = {x, 0, sizeof x};
  const isofold_tensor output = {y, 0, sizeof y};
  const isofold_launch_options launch = {
      .struct_size = sizeof launch, .inputs = &input, .input_count = 1, .outputs = &output, .output_count = 1, .tokens = 2};
  if (isofold_operator_launch(mean, &launch) != ISOFOLD_OK) return failed();
  printf("isofold %s: %g %g\n", isofold_version(), y[0], y[1]);
  isofold_operator_release(mean);
  isofold_runtime_release(runtime);
  return y[0] == 2.5f && y[1] == 6.5f ? 0 : 1;
}
