/* Isofold's C API: batch-invariant row reductions, compiled for the device at hand.
 *
 *   isofold_runtime   a device with its compiler, caches and tuning tables
 *   isofold_operator  a computation over rows, prepared for token counts and then launched
 *
 * Every function that can fail returns an isofold_status; what was wrong is in isofold_last_error(). No function throws, ends
 * the process or writes to standard output. All are thread-safe, except that a handle must not be used while another thread
 * releases it. Handles are checked: a null, released or invented one is ISOFOLD_ERROR_HANDLE, and one that a parent process
 * made before a fork ISOFOLD_ERROR_FORK.
 *
 * Structures begin with struct_size, which the caller sets to their sizeof; all else may be zero. A library that is newer than
 * the caller takes what it does not have as zero; an older one takes a larger structure as long as what it does not know is
 * zero. isofold_const_tensor and isofold_tensor, which are passed in arrays, are as they are for good. Texts are UTF-8 and end
 * with a NUL; they are copied.
 */
#ifndef ISOFOLD_H
#define ISOFOLD_H

#include <stddef.h>
#include <stdint.h>

/* Of this header; isofold_version() is the library's. */
#define ISOFOLD_VERSION_MAJOR 0
#define ISOFOLD_VERSION_MINOR 1
#define ISOFOLD_VERSION_PATCH 0

#if defined(__GNUC__)
#define ISOFOLD_C_API __attribute__((visibility("default")))
#else
#define ISOFOLD_C_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* --- Status and errors --- */

typedef int32_t isofold_status;
enum {
  ISOFOLD_OK = 0,
  ISOFOLD_ERROR_USAGE = 1,    /* the caller or the machine has to change something; the message says what */
  ISOFOLD_ERROR_ARGUMENT = 2, /* a pointer is null, or a struct_size, a number or a count is not one that is allowed */
  ISOFOLD_ERROR_HANDLE = 3,   /* a handle is null, released, of another kind, or never was one */
  ISOFOLD_ERROR_BUFFER = 4,   /* a buffer of the caller's is too small; the message says how large it must be */
  ISOFOLD_ERROR_MEMORY = 5,   /* no memory */
  ISOFOLD_ERROR_FORK = 6,     /* the handle was made before this process was forked */
  ISOFOLD_ERROR_INTERNAL = 7  /* a defect of Isofold, please report it */
};

/* "ISOFOLD_OK", ...; "unknown status" for other numbers. Never null. */
ISOFOLD_C_API const char* isofold_status_name(isofold_status status);

/* What was wrong with the last call of this thread that failed; "" when none has. Valid until the next one that fails; long
 * messages are cut at 4000 bytes. Never null. */
ISOFOLD_C_API const char* isofold_last_error(void);

/* Version of the library, for example "0.1.0". Never null. */
ISOFOLD_C_API const char* isofold_version(void);

/* --- Runtime --- */

typedef struct isofold_runtime isofold_runtime;

enum {
  ISOFOLD_LOG_DEFAULT = 0, /* environment variable ISOFOLD_LOG, else warnings and errors */
  ISOFOLD_LOG_OFF = 1,
  ISOFOLD_LOG_ERROR = 2,
  ISOFOLD_LOG_WARNING = 3,
  ISOFOLD_LOG_INFO = 4,
  ISOFOLD_LOG_DEBUG = 5
};

enum {
  ISOFOLD_REQUIRE_BUNDLED = 1, /* nothing is compiled: a kernel that no bundle has is ISOFOLD_ERROR_USAGE and named */
  ISOFOLD_REQUIRE_TUNED = 2    /* so is a token count whose schedule was not measured */
};

/* One message of ISOFOLD_LOG_ERROR .. ISOFOLD_LOG_DEBUG, without a line end, valid during the call. Called by one thread at a
 * time for each runtime, from whichever thread works for it. It must not call the runtime or its operators; what one in C++ throws
 * is dropped. */
typedef void (*isofold_log_callback)(void* context, int32_t level, const char* message);

typedef struct isofold_runtime_options {
  size_t struct_size;
  const char* device;        /* "auto", "cpu", "cuda:<n>"; null: environment variable ISOFOLD_DEVICE, else "auto" */
  const char* cache_folder;  /* of the disk cache; "off": memory only; null: ISOFOLD_CACHE, else the user's own */
  const char* const* tables; /* table_count tuning tables, files or folders, read besides the shipped ones */
  size_t table_count;
  int32_t log_level;          /* ISOFOLD_LOG_... */
  uint32_t require;           /* ISOFOLD_REQUIRE_..., added up */
  isofold_log_callback log;   /* null: lines on standard error */
  void* log_context;          /* passed to `log`, which may be called until the runtime and its last operator are released */
  const char* const* bundles; /* bundle_count files of kernels built ahead of time (docs/ahead-of-time.md) */
  size_t bundle_count;
  const char* record; /* file to which launches are written, for `isofold tune --from`; null: ISOFOLD_RECORD, else none */
  int32_t nvtx;       /* 1: a profiler is shown each prepare and launch, as ranges of NVTX; 0: with ISOFOLD_NVTX=on */
  int32_t reserved;   /* 0 */
} isofold_runtime_options;

/* Opens a device. `options` may be null: all defaults. On failure *runtime is null. ISOFOLD_ERROR_USAGE when the device does
 * not exist, is too old or has no compiler, and for tables and settings of the environment that are not usable. */
ISOFOLD_C_API isofold_status isofold_runtime_create(const isofold_runtime_options* options, isofold_runtime** runtime);

/* Gives the handle back; operators of the runtime go on working. Null is allowed. In the child of a fork nothing but the
 * handle is given back. */
ISOFOLD_C_API isofold_status isofold_runtime_release(isofold_runtime* runtime);

enum {
  ISOFOLD_RUNTIME_DEVICE = 0, /* "cuda:0" or "cpu" */
  ISOFOLD_RUNTIME_TRAITS = 1  /* what is known of the device, one line */
};

/* Writes a text with its NUL into `buffer` of `capacity` bytes. *needed (may be null) is what it takes, also when `buffer` is
 * null, or too small, which is ISOFOLD_ERROR_BUFFER and leaves an empty text. */
ISOFOLD_C_API isofold_status isofold_runtime_query(isofold_runtime* runtime, int32_t what, char* buffer, size_t capacity,
                                                   size_t* needed);

/* --- Operators --- */

typedef struct isofold_operator isofold_operator;

/* Name of the operator with that index, from 0, in a stable order; null behind the last one. */
ISOFOLD_C_API const char* isofold_operator_name(size_t index);

typedef struct isofold_operator_options {
  size_t struct_size;
  const char* name;    /* "rms_norm", "add_rms_norm", "softmax", "sum", ...: docs/operators.md; null with `spec` */
  int64_t n;           /* row length, 0 .. 2147483647 */
  const char* dtype;   /* of x: "f32", "bf16", "f16", "e4m3", "i8", "f64" */
  const char* options; /* "eps=1e-5 weight_dtype=f32 ...": docs/c-api.md; null: the operator's defaults */
  const char* spec;    /* a Spec as text, instead of all the above: docs/adding-an-operator.md */
  const char* fold;    /* another reduction tree, "leaf=8 lanes=32 segments=1": other bits; null: the default one */
} isofold_operator_options;

/* Makes an operator: quick, nothing is compiled. On failure *op is null. ISOFOLD_ERROR_USAGE for unknown operators, dtypes and
 * options and for Specs and folds that are none. */
ISOFOLD_C_API isofold_status isofold_operator_create(isofold_runtime* runtime, const isofold_operator_options* options,
                                                     isofold_operator** op);

/* Gives the handle back, once its launches, and CUDA graphs with them, are done. Null is allowed. */
ISOFOLD_C_API isofold_status isofold_operator_release(isofold_operator* op);

/* Numbers of tensors that a launch takes. */
ISOFOLD_C_API isofold_status isofold_operator_tensor_counts(isofold_operator* op, size_t* inputs, size_t* outputs);

typedef struct isofold_tensor_info {
  size_t struct_size;
  const char* name;      /* "x", "weight", "y", ...; valid until the operator is released, like the next two */
  const char* dtype;     /* "bf16", ... */
  const char* extent;    /* "row": [tokens, n]; "column": [n]; "token": [tokens]; "scalar": one number */
  int64_t row_elements;  /* n, or 1 for token and scalar */
  int64_t groups;        /* rows, or columns, that lie together; else 1 */
  size_t element_bytes;
} isofold_tensor_info;

/* Describes input or output `index`; struct_size of `info` is set by the caller. */
ISOFOLD_C_API isofold_status isofold_operator_input(isofold_operator* op, size_t index, isofold_tensor_info* info);
ISOFOLD_C_API isofold_status isofold_operator_output(isofold_operator* op, size_t index, isofold_tensor_info* info);

enum {
  ISOFOLD_OPERATOR_BITS_ID = 0,  /* equal on two machines: equal output bits for equal inputs */
  ISOFOLD_OPERATOR_SPEC = 1,     /* what is computed, one line */
  ISOFOLD_OPERATOR_FOLD = 2,     /* the reduction tree, one line */
  ISOFOLD_OPERATOR_SCHEDULE = 3, /* how `tokens` rows are computed: the schedule, one line */
  ISOFOLD_OPERATOR_ORIGIN = 4,   /* why so: "table <file>:<line>", "cost model", ... */
  ISOFOLD_OPERATOR_SOURCE = 5    /* the generated text: CUDA source, or LLVM IR on the CPU */
};

/* As isofold_runtime_query. The first three ignore `tokens` (>= 1), `alignment` (bytes that every pointer and row stride is
 * a multiple of, a power of two; 0: 16) and `workspace_bytes`, which the launch is handed. */
ISOFOLD_C_API isofold_status isofold_operator_query(isofold_operator* op, int32_t what, int64_t tokens, int32_t alignment,
                                                    size_t workspace_bytes, char* buffer, size_t capacity, size_t* needed);

/* Token counts at which the schedule changes, ascending, beginning with 1. *count (not null) is how many there are, also when
 * `firsts` is null or `capacity` (of int64_t) too small, which is ISOFOLD_ERROR_BUFFER. */
ISOFOLD_C_API isofold_status isofold_operator_boundaries(isofold_operator* op, int64_t* firsts, size_t capacity, size_t* count);

typedef struct isofold_prepare_options {
  size_t struct_size;
  const int64_t* tokens; /* token_count token counts, each >= 1 */
  size_t token_count;
  int64_t max_tokens; /* 0, or: every token count from 1 to this */
  int32_t alignment;  /* every pointer and row stride to come is a multiple of so many bytes, a power of two; 0: 16 */
  int32_t reserved;   /* 0 */
} isofold_prepare_options;

/* Compiles and loads what launches over these token counts need. May take seconds; kept on disk for the next time. */
ISOFOLD_C_API isofold_status isofold_operator_prepare(isofold_operator* op, const isofold_prepare_options* options);

/* Bytes of workspace with which launches over at most `max_tokens` rows (>= 0) are fastest: memory of the operator's device, aligned to
 * 256 bytes, that a launch may write until it is done. Without it, or with less, the bits are the same. 0 for most operators: it
 * helps where a few rows of millions of elements are shared by many blocks. */
ISOFOLD_C_API isofold_status isofold_operator_workspace(isofold_operator* op, int64_t max_tokens, size_t* bytes);

typedef struct isofold_const_tensor {
  const void* data;
  int64_t row_stride; /* elements from one row (of rows in groups: from one group; of numbers per token: number) to the next; 0: dense */
  size_t bytes;       /* size of the buffer at `data`; 0: not said, not checked */
} isofold_const_tensor;

typedef struct isofold_tensor {
  void* data;
  int64_t row_stride;
  size_t bytes;
} isofold_tensor;

typedef struct isofold_launch_options {
  size_t struct_size;
  const isofold_const_tensor* inputs; /* in the order of isofold_operator_input */
  size_t input_count;
  const isofold_tensor* outputs; /* in the order of isofold_operator_output */
  size_t output_count;
  int64_t tokens;         /* rows; 0: succeeds and does nothing */
  void* stream;           /* a cudaStream_t or CUstream of the device's primary context; null: its legacy stream */
  void* workspace;        /* null, or memory that no other launch uses at the same time (isofold_operator_workspace) */
  size_t workspace_bytes; /* 0 when workspace is null */
} isofold_launch_options;

/* Enqueues the computation on a GPU; on the CPU returns when it is done. After prepare for this token count and alignment it
 * neither allocates nor synchronises, and may be captured in a CUDA graph; without, it compiles first, and inside a capture is
 * ISOFOLD_ERROR_USAGE. An output may be the very buffer of a row input (same row stride and dtype); other overlaps are refused.
 * ISOFOLD_ERROR_USAGE, before anything is written, for a wrong number of tensors, null or misaligned pointers, row strides
 * that are too small, and overlaps; ISOFOLD_ERROR_BUFFER for buffers whose `bytes` are too few. */
ISOFOLD_C_API isofold_status isofold_operator_launch(isofold_operator* op, const isofold_launch_options* options);

#ifdef __cplusplus
}
#endif

#endif
