#ifndef GGML_RMS_NORM_H
#define GGML_RMS_NORM_H

#include <ggml.h>
#include <isofold.h>

enum { GGML_ISOFOLD_NORMS = 16 };

struct ggml_isofold {
  isofold_runtime* runtime;
  struct {
    int64_t n;
    float eps;
    isofold_operator* op;
  } norms[GGML_ISOFOLD_NORMS];
  int count;
};

isofold_status ggml_isofold_init(struct ggml_isofold* state, const char* device);
void ggml_isofold_free(struct ggml_isofold* state);
isofold_status ggml_isofold_add_norm(struct ggml_isofold* state, int64_t n, float eps, int64_t max_tokens);
isofold_status ggml_isofold_rms_norm_mul(const struct ggml_isofold* state, const struct ggml_tensor* norm,
                                         const struct ggml_tensor* mul, void* stream);

#endif
