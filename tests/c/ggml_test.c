/* docs/examples/ggml_rms_norm.c on nodes as llama.cpp builds them. */
#include <math.h>
#include <stdlib.h>

#include "ggml_rms_norm.h"
#include "check.h"

enum { n = 48, tokens = 30 };

static struct ggml_tensor tensor(void* data, int64_t ne0, int64_t ne1, int64_t ne2, size_t stride) {
  struct ggml_tensor t = {.type = GGML_TYPE_F32, .ne = {ne0, ne1, ne2, 1}, .nb = {4, stride, stride * (size_t)ne1}, .data = data};
  t.nb[3] = t.nb[2] * (size_t)ne2;
  return t;
}

int main(void) {
  struct ggml_isofold state;
  const isofold_status opened = ggml_isofold_init(&state, "cpu");
  if (opened == ISOFOLD_ERROR_USAGE && strstr(isofold_last_error(), "without LLVM") != NULL) return 77;
  CHECK_OK(opened);
  float x_data[tokens * (n + 3)], weight_data[n], y_data[tokens * n], alone[n];
  for (int i = 0; i < tokens * (n + 3); ++i) x_data[i] = (float)(rand() % 1000) / 100 - 5;
  for (int i = 0; i < n; ++i) weight_data[i] = (float)i / n;
  /* Rows of a view, three elements between them, in two dimensions; the weight on the left. */
  struct ggml_tensor x = tensor(x_data, n, 6, 5, (n + 3) * sizeof(float)), weight = tensor(weight_data, n, 1, 1, n * sizeof(float));
  struct ggml_tensor norm = tensor(NULL, n, 6, 5, n * sizeof(float)), mul = tensor(y_data, n, 6, 5, n * sizeof(float));
  const float eps = 1e-5f;
  memcpy(norm.op_params, &eps, sizeof eps);
  norm.src[0] = &x;
  mul.src[0] = &weight;
  mul.src[1] = &norm;
  CHECK(ggml_isofold_rms_norm_mul(&state, &norm, &mul, NULL) == ISOFOLD_ERROR_USAGE); /* not added yet */
  CHECK_OK(ggml_isofold_add_norm(&state, n, eps, 512));
  CHECK_OK(ggml_isofold_add_norm(&state, n, eps, 512));
  CHECK_OK(ggml_isofold_rms_norm_mul(&state, &norm, &mul, NULL));
  for (int row = 0; row < tokens; ++row) {
    const float* of_x = x_data + row * (n + 3);
    double squares = 0;
    for (int i = 0; i < n; ++i) squares += (double)of_x[i] * of_x[i];
    for (int i = 0; i < n; ++i) CHECK(fabs(y_data[row * n + i] - of_x[i] / sqrt(squares / n + eps) * weight_data[i]) < 1e-5);
  }
  /* One row of a decode step has the bits that it has in the prompt. */
  struct ggml_tensor one = tensor(x_data + 11 * (n + 3), n, 1, 1, n * sizeof(float)), out = tensor(alone, n, 1, 1, n * sizeof(float));
  norm.src[0] = &one;
  out.src[0] = &norm;
  out.src[1] = &weight;
  CHECK_OK(ggml_isofold_rms_norm_mul(&state, &norm, &out, NULL));
  CHECK(memcmp(alone, y_data + 11 * n, sizeof alone) == 0);
  CHECK(state.count == 1);
  one.type = GGML_TYPE_F16;
  CHECK(ggml_isofold_rms_norm_mul(&state, &norm, &out, NULL) == ISOFOLD_ERROR_USAGE);
  ggml_isofold_free(&state);
  if (checks_failed == 0) puts("every check passed");
  return checks_failed != 0;
}
