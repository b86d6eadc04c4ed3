/* Softmax in C: the same bits for a row alone and in a batch.
 *
 *   cc softmax.c $(pkg-config --cflags --libs isofold) -o softmax
 */
#include <isofold.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { n = 1000, tokens = 64 };

static void check(isofold_status status) {
  if (status == ISOFOLD_OK) return;
  fprintf(stderr, "%s: %s\n", isofold_status_name(status), isofold_last_error());
  exit(2);
}

int main(void) {
  isofold_runtime_options options = {.struct_size = sizeof options, .device = "cpu"};
  isofold_runtime* runtime = NULL;
  check(isofold_runtime_create(&options, &runtime));

  isofold_operator_options make = {.struct_size = sizeof make, .name = "softmax", .n = n, .dtype = "f32", .options = "scale=0.125"};
  isofold_operator* softmax = NULL;
  check(isofold_operator_create(runtime, &make, &softmax));
  isofold_prepare_options prepare = {.struct_size = sizeof prepare, .max_tokens = tokens};
  check(isofold_operator_prepare(softmax, &prepare)); /* compiles; what follows does not */

  static float x[tokens * n], y[tokens * n], alone[n];
  for (int i = 0; i < tokens * n; ++i) x[i] = (float)(rand() % 2001 - 1000) / 50.0f;
  isofold_const_tensor input = {.data = x, .bytes = sizeof x};
  isofold_tensor output = {.data = y, .bytes = sizeof y};
  isofold_launch_options launch = {
      .struct_size = sizeof launch, .inputs = &input, .input_count = 1, .outputs = &output, .output_count = 1, .tokens = tokens};
  check(isofold_operator_launch(softmax, &launch));

  input.data = x + 17 * n; /* row 17 once more, by itself */
  input.bytes = sizeof alone;
  output = (isofold_tensor){.data = alone, .bytes = sizeof alone};
  launch.tokens = 1;
  check(isofold_operator_launch(softmax, &launch));
  const int same = memcmp(alone, y + 17 * n, sizeof alone) == 0;

  char schedule[256], bits[40];
  check(isofold_operator_query(softmax, ISOFOLD_OPERATOR_SCHEDULE, tokens, 0, 0, schedule, sizeof schedule, NULL));
  check(isofold_operator_query(softmax, ISOFOLD_OPERATOR_BITS_ID, 0, 0, 0, bits, sizeof bits, NULL));
  printf("isofold %s, bits id %s, schedule %s\n", isofold_version(), bits, schedule);
  printf("row 17 alone and among %d: %s bits\n", tokens, same ? "the same" : "different");
  isofold_operator_release(softmax);
  isofold_runtime_release(runtime);
  return same ? 0 : 1;
}
