/* The part of ggml.h that docs/examples/ggml_rms_norm.c uses, with ggml's names and types. */
#ifndef GGML_H
#define GGML_H

#include <stddef.h>
#include <stdint.h>

#define GGML_MAX_DIMS 4
#define GGML_MAX_SRC 10
#define GGML_MAX_OP_PARAMS 64

enum ggml_type { GGML_TYPE_F32 = 0, GGML_TYPE_F16 = 1 };

struct ggml_tensor {
  enum ggml_type type;
  int64_t ne[GGML_MAX_DIMS]; /* elements */
  size_t nb[GGML_MAX_DIMS];  /* strides in bytes */
  int32_t op_params[GGML_MAX_OP_PARAMS / sizeof(int32_t)];
  struct ggml_tensor* src[GGML_MAX_SRC];
  void* data;
};

#endif
