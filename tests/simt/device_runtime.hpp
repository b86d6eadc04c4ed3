#pragma once
// What generated CUDA text finds on the host in place of a GPU: the built-in variables, types and intrinsics
// it uses. Barriers, shuffles and shared memory are asked of the scheduler through `simt_hooks`. Included by
// the host text of every batch.

#include <utility>

#include "simt/hooks.hpp"

// Defined by the host text of a batch and set by the scheduler: one host thread at a time runs a batch.
extern "C" {
extern const SimtHooks* simt_hooks;
extern const SimtThread* simt_current;
}

#define threadIdx (simt_current->thread)
#define blockIdx (simt_current->block)
#define blockDim (simt_current->block_size)
#define gridDim (simt_current->grid_size)

// Not inline: a helper that is not used is a warning then.
#define __global__ static
#define __device__ static
#define __forceinline__

struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};

/// Arithmetic on a GPU gives one NaN.
inline float with_canonical_nan(float value) { return value != value ? __builtin_bit_cast(float, 0x7fffffffu) : value; }
inline float __fadd_rn(float a, float b) { return with_canonical_nan(a + b); }
inline float __fsub_rn(float a, float b) { return with_canonical_nan(a - b); }
inline float __fmul_rn(float a, float b) { return with_canonical_nan(a * b); }
inline float __fmaf_rn(float a, float b, float c) { return with_canonical_nan(__builtin_fmaf(a, b, c)); }
inline float fabsf(float a) { return __builtin_fabsf(a); }
inline float __int_as_float(int bits) { return __builtin_bit_cast(float, bits); }
inline int __float_as_int(float value) { return __builtin_bit_cast(int, value); }
inline float __int2float_rn(int value) { return static_cast<float>(value); }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fsqrt_rn(float a) { return __builtin_sqrtf(a); }
inline float __uint_as_float(unsigned bits) { return __builtin_bit_cast(float, bits); }
inline unsigned __float_as_uint(float value) { return __builtin_bit_cast(unsigned, value); }

inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __fma_rn(double a, double b, double c) { return __builtin_fma(a, b, c); }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __drcp_rn(double a) { return 1.0 / a; }
inline double __dsqrt_rn(double a) { return __builtin_sqrt(a); }
inline double fabs(double a) { return __builtin_fabs(a); }
inline long long __double_as_longlong(double value) { return __builtin_bit_cast(long long, value); }
inline double __longlong_as_double(long long bits) { return __builtin_bit_cast(double, bits); }
inline double __hiloint2double(int high, int low) {
  return __longlong_as_double(static_cast<long long>(high) << 32 | static_cast<unsigned>(low));
}
inline int __double2hiint(double value) { return static_cast<int>(__double_as_longlong(value) >> 32); }
inline int __double2loint(double value) { return static_cast<int>(__double_as_longlong(value)); }

template <class T>
T __ldcs(const T* from) {
  return *from;
}
template <class T>
void __stcs(T* to, T value) {
  *to = value;
}

inline void __syncthreads(int line = __builtin_LINE()) { simt_hooks->barrier(line); }

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int line = __builtin_LINE()) {
  constexpr int words = sizeof(T) / 4;
  struct Words {
    unsigned word[words];
  } bits = __builtin_bit_cast(Words, value);
  for (unsigned& word : bits.word) word = simt_hooks->shuffle(mask, word, source & 31, line);
  return __builtin_bit_cast(T, bits);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int distance, int line = __builtin_LINE()) {
  return __shfl_sync(mask, value, simt_hooks->lane() ^ distance, line);
}

inline int __reduce_max_sync(unsigned mask, int value, int line = __builtin_LINE()) {
  for (int distance = 16; distance >= 1; distance /= 2) {
    const int other = __shfl_xor_sync(mask, value, distance, line);
    if (other > value) value = other;
  }
  return value;
}

namespace simt_host {

/// What a kernel says of its blocks: threads, and how many blocks share a multiprocessor.
constexpr bool launch_bounds(int threads = 1, int blocks = 1) {
  return threads >= 1 && threads <= 1024 && blocks >= 1;
}

template <class... Parameters, std::size_t... INDEX>
void call(void (*kernel)(Parameters...), void** arguments, std::index_sequence<INDEX...>) {
  kernel(*static_cast<Parameters*>(arguments[INDEX])...);
}

/// Calls a kernel with the values that `arguments` point at, as the driver API does.
template <class... Parameters>
void call(void (*kernel)(Parameters...), void** arguments) {
  call(kernel, arguments, std::index_sequence_for<Parameters...>());
}

/// The size of parameter `index` of a kernel; 0 behind the last.
template <class... Parameters>
unsigned long parameter_bytes(void (*)(Parameters...), unsigned long index) {
  constexpr unsigned long bytes[] = {sizeof(Parameters)..., 0};
  return index < sizeof...(Parameters) ? bytes[index] : 0;
}

}  // namespace simt_host
