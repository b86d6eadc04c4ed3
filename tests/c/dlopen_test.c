/* A program that is not linked with Isofold: it opens the library given on the command line and finds every function by name. */
#include <dlfcn.h>
#include <isofold.h>
#include <stdlib.h>

/* The checks of check.h call these. */
static const char* (*last_error)(void);
static const char* (*status_name)(isofold_status);
#define isofold_last_error last_error
#define isofold_status_name status_name
#include "check.h"

static void* library;

static void* function(const char* name) {
  void* found = dlsym(library, name);
  if (found == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  return found;
}
#define FUNCTION(name) __typeof__(&name) my_##name = (__typeof__(&name))function(#name)

int main(int argc, char** argv) {
  library = dlopen(argc == 2 ? argv[1] : "", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  last_error = (const char* (*)(void))function("isofold_last_error");
  status_name = (const char* (*)(isofold_status))function("isofold_status_name");
  FUNCTION(isofold_runtime_create);
  FUNCTION(isofold_runtime_release);
  FUNCTION(isofold_operator_create);
  FUNCTION(isofold_operator_prepare);
  FUNCTION(isofold_operator_launch);

  isofold_runtime_options options = {.struct_size = sizeof options, .device = "cpu", .cache_folder = "off"};
  isofold_runtime* runtime = NULL;
  if (my_isofold_runtime_create(&options, &runtime) == ISOFOLD_ERROR_USAGE && strstr(last_error(), "without LLVM") != NULL) {
    puts(last_error());
    return 77;
  }
  const isofold_operator_options softmax = {.struct_size = sizeof softmax, .name = "softmax", .n = 4, .dtype = "f32"};
  isofold_operator* op = NULL;
  CHECK_OK(my_isofold_operator_create(runtime, &softmax, &op));
  const isofold_prepare_options prepare = {.struct_size = sizeof prepare, .max_tokens = 8};
  CHECK_OK(my_isofold_operator_prepare(op, &prepare));
  float x[8] = {0, 0, 0, 0, 1, 1, 1, 1}, y[8] = {0};
  const isofold_const_tensor input = {x, 0, sizeof x};
  const isofold_tensor output = {y, 0, sizeof y};
  const isofold_launch_options launch = {
      .struct_size = sizeof launch, .inputs = &input, .input_count = 1, .outputs = &output, .output_count = 1, .tokens = 2};
  CHECK_OK(my_isofold_operator_launch(op, &launch));
  for (int i = 0; i < 8; ++i) CHECK(y[i] == 0.25f);
  CHECK_FAILS(ISOFOLD_ERROR_HANDLE, "the operator is null", my_isofold_operator_launch(NULL, &launch));
  CHECK_OK(my_isofold_runtime_release(runtime));
  /* The operator is still there, and its threads: closing the library must not take the code away from under them. */
  CHECK(dlclose(library) == 0);
  if (checks_failed == 0) puts("every check passed");
  return checks_failed != 0;
}
