/* The C API as a C program uses it: results, descriptions, and bad input of every kind. */
#include <isofold.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { n = 96, tokens = 7 };

static int messages = 0;
static int debug_messages = 0;

static void count_message(void* context, int32_t level, const char* message) {
  ++*(int*)context;
  if (level == ISOFOLD_LOG_DEBUG && message[0] != '\0') ++debug_messages;
}

static isofold_status open_cpu(isofold_runtime** runtime) {
  isofold_runtime_options options = {.struct_size = sizeof options,
                                     .device = "cpu",
                                     .cache_folder = "off",
                                     .log_level = ISOFOLD_LOG_DEBUG,
                                     .log = count_message,
                                     .log_context = &messages};
  return isofold_runtime_create(&options, runtime);
}

static isofold_operator* make(isofold_runtime* runtime, const char* name, const char* dtype, const char* more) {
  isofold_operator_options options = {.struct_size = sizeof options, .name = name, .n = n, .dtype = dtype, .options = more};
  isofold_operator* op = NULL;
  CHECK_OK(isofold_operator_create(runtime, &options, &op));
  return op;
}

static void results(isofold_runtime* runtime) {
  isofold_operator* op = make(runtime, "add_rms_norm", "f32", "eps=1e-5");
  float x[tokens * n], residual[tokens * n], weight[n], y[tokens * n], sum[tokens * n], alone[n], alone_sum[n];
  for (int i = 0; i < tokens * n; ++i) {
    x[i] = (float)(i % n % 13) - 6.0f;
    residual[i] = (float)(i % n % 5) * 0.25f;
  }
  for (int i = 0; i < n; ++i) weight[i] = 1.0f + (float)i / 64.0f;
  const isofold_const_tensor inputs[3] = {{x, 0, sizeof x}, {residual, n, sizeof residual}, {weight, 0, sizeof weight}};
  const isofold_tensor outputs[2] = {{y, 0, sizeof y}, {sum, 0, 0}};
  isofold_launch_options launch = {.struct_size = sizeof launch,
                                   .inputs = inputs,
                                   .input_count = 3,
                                   .outputs = outputs,
                                   .output_count = 2,
                                   .tokens = tokens};
  const int64_t counts[2] = {1, tokens};
  isofold_prepare_options prepare = {.struct_size = sizeof prepare, .tokens = counts, .token_count = 2};
  CHECK_OK(isofold_operator_prepare(op, &prepare));
  prepare = (isofold_prepare_options){.struct_size = sizeof prepare, .max_tokens = 64, .alignment = 4};
  CHECK_OK(isofold_operator_prepare(op, &prepare));
  CHECK_OK(isofold_operator_launch(op, &launch));
  const isofold_tensor one[2] = {{alone, 0, sizeof alone}, {alone_sum, 0, sizeof alone_sum}};
  launch.outputs = one;
  launch.tokens = 1;
  CHECK_OK(isofold_operator_launch(op, &launch));
  for (int row = 0; row < tokens; ++row) CHECK(memcmp(alone, y + row * n, sizeof alone) == 0);
  double squares = 0;
  for (int i = 0; i < n; ++i) squares += ((double)x[i] + residual[i]) * ((double)x[i] + residual[i]);
  for (int i = 0; i < n; ++i) {
    CHECK(sum[i] == x[i] + residual[i]);
    CHECK(fabs(y[i] - sum[i] / sqrt(squares / n + 1e-5) * weight[i]) < 1e-5);
  }
  launch.tokens = 0;
  launch.outputs = (const isofold_tensor[2]){{NULL, 0, 0}, {NULL, 0, 0}};
  CHECK_OK(isofold_operator_launch(op, &launch));
  CHECK_OK(isofold_operator_release(op));
}

static void descriptions(isofold_runtime* runtime) {
  isofold_operator* op = make(runtime, "rms_norm_quant", "bf16", "groups=4 weight_dtype=f32");
  size_t inputs = 0, outputs = 0;
  CHECK_OK(isofold_operator_tensor_counts(op, &inputs, &outputs));
  CHECK(inputs == 2 && outputs == 2);
  isofold_tensor_info info = {.struct_size = sizeof info};
  CHECK_OK(isofold_operator_input(op, 1, &info));
  CHECK(strcmp(info.name, "weight") == 0 && strcmp(info.dtype, "f32") == 0 && strcmp(info.extent, "column") == 0);
  CHECK(info.row_elements == n && info.groups == 4 && info.element_bytes == 4);
  CHECK_OK(isofold_operator_output(op, 1, &info));
  CHECK(strcmp(info.name, "scale") == 0 && strcmp(info.extent, "token") == 0 && info.row_elements == 1 && info.groups == 1);

  /* A caller that is newer than the library. */
  struct { isofold_tensor_info known; int64_t later; } newer = {.known = {.struct_size = sizeof newer}, .later = 7};
  CHECK_OK(isofold_operator_output(op, 1, &newer.known));
  CHECK(strcmp(newer.known.name, "scale") == 0 && newer.known.struct_size == sizeof newer && newer.later == 0);

  char header_version[32];
  snprintf(header_version, sizeof header_version, "%d.%d.%d", ISOFOLD_VERSION_MAJOR, ISOFOLD_VERSION_MINOR, ISOFOLD_VERSION_PATCH);
  CHECK(strcmp(isofold_version(), header_version) == 0);
  size_t needed = 0, count = 0, workspace = 1;
  CHECK_OK(isofold_operator_query(op, ISOFOLD_OPERATOR_BITS_ID, 0, 0, 0, NULL, 0, &needed));
  CHECK(needed == 33);
  char id[33], small[10] = "unchanged";
  CHECK_OK(isofold_operator_query(op, ISOFOLD_OPERATOR_BITS_ID, 0, 0, 0, id, sizeof id, NULL));
  CHECK(strlen(id) == 32);
  CHECK_FAILS(ISOFOLD_ERROR_BUFFER, "has 33 bytes with its NUL, the buffer 10",
              isofold_operator_query(op, ISOFOLD_OPERATOR_BITS_ID, 0, 0, 0, small, sizeof small, &needed));
  CHECK(small[0] == '\0' && needed == 33);
  for (int32_t what = ISOFOLD_OPERATOR_SPEC; what <= ISOFOLD_OPERATOR_SOURCE; ++what) {
    CHECK_OK(isofold_operator_query(op, what, 5, 0, 0, NULL, 0, &needed));
    char* text = malloc(needed);
    CHECK_OK(isofold_operator_query(op, what, 5, 0, 0, text, needed, NULL));
    CHECK(strlen(text) + 1 == needed && needed > 8);
    if (what == ISOFOLD_OPERATOR_SPEC) {
      isofold_operator_options same = {.struct_size = sizeof same, .spec = text};
      isofold_operator* again = NULL;
      char other_id[33];
      CHECK_OK(isofold_operator_create(runtime, &same, &again));
      CHECK_OK(isofold_operator_query(again, ISOFOLD_OPERATOR_BITS_ID, 0, 0, 0, other_id, sizeof other_id, NULL));
      CHECK(strcmp(id, other_id) == 0);
      CHECK_OK(isofold_operator_release(again));
      same.fold = "leaf=1 lanes=2 segments=1";
      CHECK_OK(isofold_operator_create(runtime, &same, &again));
      CHECK_OK(isofold_operator_query(again, ISOFOLD_OPERATOR_BITS_ID, 0, 0, 0, other_id, sizeof other_id, NULL));
      CHECK(strcmp(id, other_id) != 0);
      CHECK_OK(isofold_operator_release(again));
    }
    if (what == ISOFOLD_OPERATOR_SOURCE) CHECK(strstr(text, "define") != NULL);
    free(text);
  }
  CHECK_OK(isofold_operator_boundaries(op, NULL, 0, &count));
  CHECK(count >= 1);
  int64_t* firsts = malloc(count * sizeof *firsts);
  CHECK_OK(isofold_operator_boundaries(op, firsts, count, &count));
  CHECK(firsts[0] == 1);
  CHECK_FAILS(ISOFOLD_ERROR_BUFFER, "boundaries, the buffer holds 0", isofold_operator_boundaries(op, firsts, 0, &count));
  free(firsts);
  CHECK_OK(isofold_operator_workspace(op, 4096, &workspace));
  CHECK(workspace == 0);
  CHECK_OK(isofold_operator_release(op));

  char device[8];
  CHECK_OK(isofold_runtime_query(runtime, ISOFOLD_RUNTIME_DEVICE, device, sizeof device, NULL));
  CHECK(strcmp(device, "cpu") == 0);
  CHECK_OK(isofold_runtime_query(runtime, ISOFOLD_RUNTIME_TRAITS, NULL, 0, &needed));
  CHECK(needed > 10);
}

static void every_named_operator(isofold_runtime* runtime) {
  size_t count = 0;
  for (const char* name; (name = isofold_operator_name(count)) != NULL; ++count) CHECK_OK(isofold_operator_release(make(runtime, name, "bf16", NULL)));
  CHECK(count > 20);
}

static void bad_runtimes(void) {
  isofold_runtime* runtime = (isofold_runtime*)&runtime;
  isofold_runtime_options options = {.struct_size = sizeof options, .device = "tpu"};
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "device is \"tpu\"; allowed: auto, cpu, cuda", isofold_runtime_create(&options, &runtime));
  CHECK(runtime == NULL);
  options.device = "cuda:1023";
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "", isofold_runtime_create(&options, &runtime));
  options.device = "cpu";
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "runtime is null", isofold_runtime_create(&options, NULL));
  options.struct_size = 8;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "struct_size is 8, it must be sizeof", isofold_runtime_create(&options, &runtime));
  options.struct_size = 0;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "struct_size is 0", isofold_runtime_create(&options, &runtime));
  options.struct_size = sizeof options;
  options.log_level = 6;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "log_level is 6", isofold_runtime_create(&options, &runtime));
  options.log_level = 0;
  options.require = 4;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "require is 4, allowed are sums of", isofold_runtime_create(&options, &runtime));
  options.require = 0;
  options.nvtx = 2;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "nvtx is 2, allowed are 0 and 1", isofold_runtime_create(&options, &runtime));
  options.nvtx = 0;
  options.reserved = 1;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "reserved is 1", isofold_runtime_create(&options, &runtime));
  /* A program that knows of no more than `record`: what lies behind its structure is not looked at. */
  isofold_runtime_options first = {.struct_size = offsetof(isofold_runtime_options, nvtx), .device = "cpu", .cache_folder = "off", .nvtx = 2, .reserved = 1};
  CHECK_OK(isofold_runtime_create(&first, &runtime));
  CHECK_OK(isofold_runtime_release(runtime));
  options.reserved = 0;
  options.table_count = 1;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "tables is null, or one of the 1", isofold_runtime_create(&options, &runtime));
  const char* const tables[1] = {"/nowhere/at/all.jsonl"};
  options.tables = tables;
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "/nowhere/at/all.jsonl", isofold_runtime_create(&options, &runtime));
  options.table_count = 0;
  options.bundle_count = 1;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "bundles is null", isofold_runtime_create(&options, &runtime));
  options.bundles = tables;
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "/nowhere/at/all.jsonl", isofold_runtime_create(&options, &runtime));
  /* A structure of a later version: what is not known here must be zero. */
  struct {
    isofold_runtime_options known;
    int64_t unknown;
  } later = {.known = {.struct_size = sizeof later, .device = "cpu", .cache_folder = "off"}};
  CHECK_OK(isofold_runtime_create(&later.known, &runtime));
  CHECK_OK(isofold_runtime_release(runtime));
  later.unknown = 1;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "something is set behind its", isofold_runtime_create(&later.known, &runtime));
  CHECK(runtime == NULL);
}

/* Where nothing may be compiled, or nothing guessed, the kernel that is missing is named. */
static void requirements(void) {
  isofold_runtime_options options = {.struct_size = sizeof options, .device = "cpu", .cache_folder = "off", .require = ISOFOLD_REQUIRE_BUNDLED};
  isofold_runtime* runtime = NULL;
  const isofold_prepare_options prepare = {.struct_size = sizeof prepare, .max_tokens = 1};
  CHECK_OK(isofold_runtime_create(&options, &runtime));
  isofold_operator* op = make(runtime, "sum", "f32", NULL);
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "is in no bundle", isofold_operator_prepare(op, &prepare));
  CHECK_OK(isofold_operator_release(op));
  CHECK_OK(isofold_runtime_release(runtime));
  options.require = ISOFOLD_REQUIRE_TUNED;
  CHECK_OK(isofold_runtime_create(&options, &runtime));
  op = make(runtime, "sum", "f32", NULL);
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "sum", isofold_operator_prepare(op, &prepare));
  CHECK_OK(isofold_operator_release(op));
  CHECK_OK(isofold_runtime_release(runtime));
}

static void bad_operators(isofold_runtime* runtime) {
  isofold_operator* op = NULL;
  isofold_operator_options options = {.struct_size = sizeof options, .name = "rms_nrom", .n = n, .dtype = "bf16"};
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "there is no operator \"rms_nrom\"; allowed are rms_norm,", isofold_operator_create(runtime, &options, &op));
  options.name = "rms_norm";
  options.dtype = "bfloat16";
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "dtype is \"bfloat16\"; allowed are f32, bf16", isofold_operator_create(runtime, &options, &op));
  options.dtype = NULL;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "dtype is null", isofold_operator_create(runtime, &options, &op));
  options.dtype = "bf16";
  options.n = -1;
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "n is -1", isofold_operator_create(runtime, &options, &op));
  options.n = n;
  options.options = "epsilon=1";
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "unknown or repeated key 'epsilon'; there are", isofold_operator_create(runtime, &options, &op));
  options.options = NULL;
  options.spec = "half a Spec";
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "must be absent", isofold_operator_create(runtime, &options, &op));
  options.name = options.dtype = NULL;
  options.n = 0;
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "", isofold_operator_create(runtime, &options, &op));
  options.spec = NULL;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "name and spec are both null", isofold_operator_create(runtime, &options, &op));
  options = (isofold_operator_options){.struct_size = sizeof options, .name = "sum", .n = n, .dtype = "f32", .fold = "leaf=3"};
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "", isofold_operator_create(runtime, &options, &op));
  CHECK(op == NULL);
  options.fold = NULL;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "options is null", isofold_operator_create(runtime, NULL, &op));
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "op is null", isofold_operator_create(runtime, &options, NULL));
  CHECK_FAILS(ISOFOLD_ERROR_HANDLE, "the runtime is null", isofold_operator_create(NULL, &options, &op));
  CHECK_FAILS(ISOFOLD_ERROR_HANDLE, "is no runtime", isofold_operator_create((isofold_runtime*)&options, &options, &op));
}

static void bad_launches(isofold_runtime* runtime) {
  isofold_operator* op = make(runtime, "softmax", "f32", "temperature=on");
  float x[2 * n], y[2 * n], temperature[2] = {1, 2};
  memset(x, 0, sizeof x);
  isofold_const_tensor inputs[2] = {{x, 0, sizeof x}, {temperature, 0, sizeof temperature}};
  isofold_tensor outputs[1] = {{y, 0, sizeof y}};
  isofold_launch_options good = {.struct_size = sizeof good, .inputs = inputs, .input_count = 2, .outputs = outputs, .output_count = 1, .tokens = 2};
  isofold_launch_options bad = good;
  CHECK_OK(isofold_operator_launch(op, &good));
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "options is null", isofold_operator_launch(op, NULL));
  bad.struct_size = 71;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "struct_size is 71", isofold_operator_launch(op, &bad));
  bad = good, bad.input_count = 1;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "1 inputs and 1 outputs were passed, this operator has 2 and 1", isofold_operator_launch(op, &bad));
  bad = good, bad.input_count = SIZE_MAX;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "inputs and 1 outputs were passed", isofold_operator_launch(op, &bad));
  bad = good, bad.inputs = NULL;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "inputs is null", isofold_operator_launch(op, &bad));
  bad = good, bad.outputs = NULL;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "outputs is null", isofold_operator_launch(op, &bad));
  bad = good, bad.tokens = -1;
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "tokens is -1", isofold_operator_launch(op, &bad));
  bad = good, bad.workspace = (void*)(uintptr_t)4097, bad.workspace_bytes = 5;
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "workspace is not aligned to 256 bytes", isofold_operator_launch(op, &bad));
  bad = good, bad.workspace_bytes = 5;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "workspace is null, workspace_bytes is 5", isofold_operator_launch(op, &bad));
  bad = good, bad.tokens = 3;
  CHECK_FAILS(ISOFOLD_ERROR_BUFFER, "x: 3 tokens take 1152 bytes, the buffer has 768", isofold_operator_launch(op, &bad));
  bad.tokens = INT64_MAX;
  CHECK_FAILS(ISOFOLD_ERROR_BUFFER, "x: 9223372036854775807 tokens take 3541774862152233909888 bytes", isofold_operator_launch(op, &bad));
  inputs[1].bytes = 4;
  CHECK_FAILS(ISOFOLD_ERROR_BUFFER, "temperature: 2 tokens take 8 bytes, the buffer has 4", isofold_operator_launch(op, &good));
  inputs[1].bytes = 8;
  outputs[0].row_stride = n + 1;
  CHECK_FAILS(ISOFOLD_ERROR_BUFFER, "y: 2 tokens take 772 bytes, the buffer has 768", isofold_operator_launch(op, &good));
  outputs[0].row_stride = n - 1;
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "row stride", isofold_operator_launch(op, &good));
  outputs[0].row_stride = INT64_MIN;
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "row stride", isofold_operator_launch(op, &good));
  outputs[0].row_stride = 0;
  inputs[0].data = NULL;
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "x: the pointer is null", isofold_operator_launch(op, &good));
  inputs[0].data = (const char*)x + 1;
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "is not a multiple of 4 bytes", isofold_operator_launch(op, &good));
  inputs[0].data = y + 1;
  inputs[0].bytes = 0;
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "overlaps", isofold_operator_launch(op, &good));
  CHECK_OK(isofold_operator_release(op));
}

static void bad_questions(isofold_runtime* runtime) {
  isofold_operator* op = make(runtime, "sum", "f32", NULL);
  isofold_tensor_info info = {.struct_size = sizeof info};
  isofold_prepare_options prepare = {.struct_size = sizeof prepare};
  size_t size = 0;
  char buffer[8];
  int64_t wrong[1] = {0};
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "index is 1, there are 1", isofold_operator_input(op, 1, &info));
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "info is null", isofold_operator_output(op, 0, NULL));
  info.struct_size = 0;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "struct_size is 0", isofold_operator_output(op, 0, &info));
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "outputs is null", isofold_operator_tensor_counts(op, &size, NULL));
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "what is 6, allowed is 0 to 5", isofold_operator_query(op, 6, 1, 0, 0, NULL, 0, &size));
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "what is -1", isofold_runtime_query(runtime, -1, NULL, 0, &size));
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "tokens is 0", isofold_operator_query(op, ISOFOLD_OPERATOR_SCHEDULE, 0, 0, 0, NULL, 0, &size));
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "alignment is 3 bytes", isofold_operator_query(op, ISOFOLD_OPERATOR_SCHEDULE, 1, 3, 0, NULL, 0, &size));
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "buffer and needed are both null", isofold_operator_query(op, ISOFOLD_OPERATOR_SPEC, 1, 0, 0, NULL, 0, NULL));
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "buffer is null, capacity is 9", isofold_operator_query(op, ISOFOLD_OPERATOR_SPEC, 1, 0, 0, NULL, 9, &size));
  CHECK_FAILS(ISOFOLD_ERROR_BUFFER, "the buffer 0", isofold_operator_query(op, ISOFOLD_OPERATOR_SPEC, 1, 0, 0, buffer, 0, &size));
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "count is null", isofold_operator_boundaries(op, NULL, 0, NULL));
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "max_tokens is -1", isofold_operator_workspace(op, -1, &size));
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "bytes is null", isofold_operator_workspace(op, 1, NULL));
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "neither tokens nor max_tokens", isofold_operator_prepare(op, &prepare));
  prepare.token_count = 1;
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "tokens is null", isofold_operator_prepare(op, &prepare));
  prepare.tokens = wrong;
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "tokens is 0, it must be at least 1", isofold_operator_prepare(op, &prepare));
  wrong[0] = 1;
  prepare.alignment = 7;
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "alignment is 7 bytes", isofold_operator_prepare(op, &prepare));
  prepare.alignment = 0;
  prepare.max_tokens = -5;
  CHECK_FAILS(ISOFOLD_ERROR_USAGE, "tokens is -5", isofold_operator_prepare(op, &prepare));
  CHECK_OK(isofold_operator_release(op));
}

static void bad_handles(isofold_runtime* runtime) {
  size_t count = 0, inputs = 0;
  isofold_operator* op = make(runtime, "sum", "f32", NULL);
  CHECK_FAILS(ISOFOLD_ERROR_HANDLE, "is no operator, or one that was released", isofold_operator_tensor_counts((isofold_operator*)runtime, &inputs, &count));
  CHECK_FAILS(ISOFOLD_ERROR_HANDLE, "is no runtime", isofold_runtime_query((isofold_runtime*)op, 0, NULL, 0, &count));
  CHECK_FAILS(ISOFOLD_ERROR_HANDLE, "is no operator", isofold_operator_launch((isofold_operator*)(intptr_t)-1, NULL));
  CHECK_FAILS(ISOFOLD_ERROR_HANDLE, "the operator is null", isofold_operator_launch(NULL, NULL));
  CHECK_OK(isofold_operator_release(op));
  CHECK_FAILS(ISOFOLD_ERROR_HANDLE, "is no operator, or one that was released", isofold_operator_launch(op, NULL));
  CHECK_FAILS(ISOFOLD_ERROR_HANDLE, "is no operator, or one that was released", isofold_operator_release(op));
  /* Its place is taken again: the old handle is still none. */
  isofold_operator* next = make(runtime, "sum", "f32", NULL);
  CHECK(next != op);
  CHECK_FAILS(ISOFOLD_ERROR_HANDLE, "is no operator", isofold_operator_tensor_counts(op, &inputs, &count));
  CHECK_OK(isofold_operator_tensor_counts(next, &inputs, &count));
  CHECK_OK(isofold_operator_release(next));
  CHECK_OK(isofold_operator_release(NULL));
  CHECK_OK(isofold_runtime_release(NULL));
}

/* Many handles at once, more than one chunk of them. */
static void many_handles(isofold_runtime* runtime) {
  enum { many = 1500 };
  static isofold_operator* ops[many];
  for (int i = 0; i < many; ++i) ops[i] = make(runtime, "sum", "f32", NULL);
  for (int i = 0; i < many; ++i) CHECK_OK(isofold_operator_release(ops[i]));
}

static void runtime_released_first(isofold_runtime* runtime) {
  isofold_operator* op = make(runtime, "sum", "f32", NULL);
  CHECK_OK(isofold_runtime_release(runtime));
  size_t needed = 0;
  CHECK_FAILS(ISOFOLD_ERROR_HANDLE, "is no runtime, or one that was released", isofold_runtime_query(runtime, 0, NULL, 0, &needed));
  CHECK_FAILS(ISOFOLD_ERROR_HANDLE, "is no runtime", isofold_runtime_release(runtime));
  isofold_operator_options options = {.struct_size = sizeof options, .name = "sum", .n = n, .dtype = "f32"};
  isofold_operator* other = NULL;
  CHECK_FAILS(ISOFOLD_ERROR_HANDLE, "is no runtime", isofold_operator_create(runtime, &options, &other));
  float x[n] = {1, 2, 3}, y[1] = {0};
  const isofold_const_tensor input = {x, 0, sizeof x};
  const isofold_tensor output = {y, 0, sizeof y};
  isofold_launch_options launch = {.struct_size = sizeof launch, .inputs = &input, .input_count = 1, .outputs = &output, .output_count = 1, .tokens = 1};
  CHECK_OK(isofold_operator_launch(op, &launch));
  CHECK(y[0] == 6);
  CHECK_OK(isofold_operator_release(op));
}

static void* last_error_of_another_thread(void* unused) {
  (void)unused;
  CHECK(isofold_last_error()[0] == '\0');
  CHECK_FAILS(ISOFOLD_ERROR_ARGUMENT, "runtime is null", isofold_runtime_create(NULL, NULL));
  return NULL;
}

static void errors_of_threads(void) {
  CHECK_FAILS(ISOFOLD_ERROR_HANDLE, "the operator is null", isofold_operator_launch(NULL, NULL));
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, last_error_of_another_thread, NULL) == 0);
  pthread_join(thread, NULL);
  CHECK(strcmp(isofold_last_error(), "the operator is null") == 0);
}

static void after_a_fork(isofold_runtime* runtime) {
  isofold_operator* op = make(runtime, "sum", "f32", NULL);
  const pid_t child = fork();
  if (child == 0) {
    checks_failed = 0;
    size_t needed = 0;
    CHECK_FAILS(ISOFOLD_ERROR_FORK, "the operator was made before this process was forked", isofold_operator_launch(op, NULL));
    CHECK_FAILS(ISOFOLD_ERROR_FORK, "the runtime was made before", isofold_runtime_query(runtime, 0, NULL, 0, &needed));
    CHECK_OK(isofold_operator_release(op));
    CHECK_OK(isofold_runtime_release(runtime));
    CHECK_FAILS(ISOFOLD_ERROR_HANDLE, "is no operator", isofold_operator_launch(op, NULL));
#ifdef ISOFOLD_TEST_THREADS_AFTER_FORK
    isofold_runtime* own = NULL;
    CHECK_OK(open_cpu(&own));
    CHECK_OK(isofold_operator_release(make(own, "sum", "f32", NULL)));
    CHECK_OK(isofold_runtime_release(own));
#endif
    _exit(checks_failed != 0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  size_t count = 0, inputs = 0;
  CHECK_OK(isofold_operator_tensor_counts(op, &inputs, &count));
  CHECK_OK(isofold_operator_release(op));
}

/* Handles that are used and given back while the process ends, and others that never are. */
static isofold_runtime* at_exit_runtime;
static isofold_operator* at_exit_operator;
static void at_exit(void) {
  float x[n] = {0}, y[1] = {5};
  const isofold_const_tensor input = {x, 0, 0};
  const isofold_tensor output = {y, 0, 0};
  isofold_launch_options launch = {.struct_size = sizeof launch, .inputs = &input, .input_count = 1, .outputs = &output, .output_count = 1, .tokens = 1};
  CHECK_OK(isofold_operator_launch(at_exit_operator, &launch));
  CHECK(y[0] == 0);
  CHECK_FAILS(ISOFOLD_ERROR_HANDLE, "the operator is null", isofold_operator_launch(NULL, NULL));
  CHECK_OK(isofold_operator_release(at_exit_operator));
  CHECK_OK(isofold_runtime_release(at_exit_runtime));
  if (checks_failed != 0) _exit(1);
}

int main(void) {
  CHECK(isofold_last_error()[0] == '\0');
  CHECK(strcmp(isofold_version(), ISOFOLD_TEST_VERSION) == 0);
  CHECK(strcmp(isofold_status_name(ISOFOLD_ERROR_FORK), "ISOFOLD_ERROR_FORK") == 0);
  CHECK(strcmp(isofold_status_name(1234), "unknown status") == 0);
  isofold_runtime* runtime = NULL;
  if (open_cpu(&runtime) == ISOFOLD_ERROR_USAGE && strstr(isofold_last_error(), "without LLVM") != NULL) {
    puts(isofold_last_error());
    return 77;
  }
  CHECK(runtime != NULL);
  CHECK(debug_messages > 0 && messages >= debug_messages);
  atexit(at_exit);
  at_exit_runtime = runtime;
  at_exit_operator = make(runtime, "sum", "f32", NULL);
  results(runtime);
  descriptions(runtime);
  every_named_operator(runtime);
  bad_runtimes();
  requirements();
  bad_operators(runtime);
  bad_launches(runtime);
  bad_questions(runtime);
  bad_handles(runtime);
  many_handles(runtime);
  errors_of_threads();
  after_a_fork(runtime);
  isofold_runtime* second = NULL;
  CHECK_OK(open_cpu(&second));
  runtime_released_first(second);
  isofold_runtime* never_released = NULL;
  CHECK_OK(open_cpu(&never_released));
  if (checks_failed == 0) puts("every check passed");
  return checks_failed != 0;
}
