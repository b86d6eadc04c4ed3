/* RMS_NORM and the MUL by its weight as one batch-invariant launch: what ggml-cuda's ggml_cuda_op_rms_norm_fused computes, with
 * the nodes of llama.cpp's graph as arguments.
 *
 * When a model is loaded: ggml_isofold_init once per device, ggml_isofold_add_norm for each row length and eps. Where the backend
 * runs the fused pair: ggml_isofold_rms_norm_mul, which neither allocates nor synchronises, and may be captured in a CUDA graph.
 */
#include "ggml_rms_norm.h"

#include <stdio.h>
#include <string.h>

isofold_status ggml_isofold_init(struct ggml_isofold* state, const char* device) {
  memset(state, 0, sizeof *state);
  const isofold_runtime_options options = {.struct_size = sizeof options, .device = device};
  return isofold_runtime_create(&options, &state->runtime);
}

void ggml_isofold_free(struct ggml_isofold* state) {
  for (int i = 0; i < state->count; ++i) isofold_operator_release(state->norms[i].op);
  isofold_runtime_release(state->runtime);
  memset(state, 0, sizeof *state);
}

static isofold_operator* find_norm(const struct ggml_isofold* state, int64_t n, float eps) {
  for (int i = 0; i < state->count; ++i)
    if (state->norms[i].n == n && state->norms[i].eps == eps) return state->norms[i].op;
  return NULL;
}

/* A model has one or two row lengths and one eps. Compiles what every batch up to max_tokens needs. */
isofold_status ggml_isofold_add_norm(struct ggml_isofold* state, int64_t n, float eps, int64_t max_tokens) {
  if (find_norm(state, n, eps) != NULL) return ISOFOLD_OK;
  if (state->count == GGML_ISOFOLD_NORMS) return ISOFOLD_ERROR_MEMORY;
  isofold_operator* op = NULL;
  char options[32];
  snprintf(options, sizeof options, "eps=%.9g", eps);
  const isofold_operator_options make = {.struct_size = sizeof make, .name = "rms_norm", .n = n, .dtype = "f32", .options = options};
  isofold_status status = isofold_operator_create(state->runtime, &make, &op);
  if (status != ISOFOLD_OK) return status;
  const isofold_prepare_options prepare = {.struct_size = sizeof prepare, .max_tokens = max_tokens};
  status = isofold_operator_prepare(op, &prepare);
  if (status != ISOFOLD_OK) {
    isofold_operator_release(op);
    return status;
  }
  state->norms[state->count].n = n;
  state->norms[state->count].eps = eps;
  state->norms[state->count++].op = op;
  return ISOFOLD_OK;
}

/* Rows of f32, elements side by side, at one distance from each other over all dimensions. */
static int has_even_rows(const struct ggml_tensor* t) {
  return t->type == GGML_TYPE_F32 && t->nb[0] == sizeof(float) && (t->ne[2] == 1 || t->nb[2] == t->nb[1] * (size_t)t->ne[1]) &&
         (t->ne[3] == 1 || t->nb[3] == t->nb[2] * (size_t)t->ne[2]);
}

/* norm: the RMS_NORM node; mul: the MUL of it by a weight of ne[0] elements, in either order. ISOFOLD_ERROR_USAGE for another
 * layout, and for a norm that was not added: whoever wants invariance must not go on with another kernel then. */
isofold_status ggml_isofold_rms_norm_mul(const struct ggml_isofold* state, const struct ggml_tensor* norm,
                                         const struct ggml_tensor* mul, void* stream) {
  const struct ggml_tensor* x = norm->src[0];
  const struct ggml_tensor* weight = mul->src[0] == norm ? mul->src[1] : mul->src[0];
  const int64_t n = x->ne[0], tokens = x->ne[1] * x->ne[2] * x->ne[3];
  if (!has_even_rows(x) || !has_even_rows(mul) || weight->type != GGML_TYPE_F32 || weight->ne[0] != n ||
      weight->ne[1] * weight->ne[2] * weight->ne[3] != 1)
    return ISOFOLD_ERROR_USAGE;
  float eps;
  memcpy(&eps, norm->op_params, sizeof eps);
  isofold_operator* op = find_norm(state, n, eps);
  if (op == NULL) return ISOFOLD_ERROR_USAGE;
  const isofold_const_tensor inputs[2] = {{.data = x->data, .row_stride = (int64_t)(x->nb[1] / sizeof(float))}, {.data = weight->data}};
  const isofold_tensor output = {.data = mul->data, .row_stride = (int64_t)(mul->nb[1] / sizeof(float))};
  const isofold_launch_options launch = {.struct_size = sizeof launch,
                                         .inputs = inputs,
                                         .input_count = 2,
                                         .outputs = &output,
                                         .output_count = 1,
                                         .tokens = tokens,
                                         .stream = stream};
  return isofold_operator_launch(op, &launch);
}
