#pragma once
// Host forms of the helper functions whose bodies are PTX in the generated text: same names, same parameters,
// plain C++ that is written apart from the templates and from the oracle.
#include "simt/device_runtime.hpp"

namespace simt_host {

inline void copy(void* to, const void* from, unsigned long bytes) { __builtin_memcpy(to, from, bytes); }

template <unsigned long BYTES>
void load(unsigned* words, const void* from) {
  simt_hooks->global_access(from, BYTES, false);
  copy(words, from, BYTES);
}
template <unsigned long BYTES>
void store(void* to, const unsigned* words) {
  simt_hooks->global_access(to, BYTES, true);
  copy(to, words, BYTES);
}

inline void load_16(unsigned* words, const void* from) { load<16>(words, from); }
inline void load_8(unsigned* words, const void* from) { load<8>(words, from); }
inline void load_4(unsigned* words, const void* from) { load<4>(words, from); }
inline void load_2(unsigned* words, int p, const void* from) {
  unsigned element = 0;
  load<2>(&element, from);
  if (p % 2 == 0)
    words[p / 2] = element;
  else
    words[p / 2] = (words[p / 2] & 0xffff) + (element << 16);
}
inline void store_16(void* to, const unsigned* words) { store<16>(to, words); }
inline void store_8(void* to, const unsigned* words) { store<8>(to, words); }
inline void store_4(void* to, const unsigned* words) { store<4>(to, words); }
inline void store_2(void* to, const unsigned* words, int p) {
  const unsigned element = words[p / 2] >> (p % 2 ? 16 : 0);
  store<2>(to, &element);
}

inline unsigned bf16_of(float value) {
  const unsigned bits = __float_as_uint(value), rest = bits & 0xffff;
  if (value != value) return 0x7fff;
  unsigned upper = bits >> 16;
  if (rest > 0x8000 || (rest == 0x8000 && upper % 2 == 1)) ++upper;
  return upper;
}

/// Counts units in the last place, in binary64, where every step but the rounding is exact.
inline unsigned f16_of(float value) {
  if (value != value) return 0x7fff;
  const unsigned sign = __builtin_signbit(value) ? 0x8000 : 0;
  const double magnitude = __builtin_fabs(value);
  if (magnitude >= 65520) return sign + 0x7c00;
  double unit = 0x1p-24;
  unsigned binade = 0;  // patterns below the binade's first
  for (double top = 0x1p-13; magnitude >= top; top *= 2, unit *= 2) binade += 1024;
  return sign + binade + static_cast<unsigned>(__builtin_rint(magnitude / unit));
}

inline unsigned pack_bf16(float first, float second) { return bf16_of(second) << 16 | bf16_of(first); }
inline unsigned pack_f16(float first, float second) { return f16_of(second) << 16 | f16_of(first); }

inline float widen_f16(const unsigned* words, int e) {
  const unsigned bits = words[e / 2] >> (e % 2 ? 16 : 0);
  const unsigned exponent = bits / 1024 % 32, fraction = bits % 1024;
  float magnitude;
  if (exponent == 31)
    magnitude = fraction ? __builtin_nanf("") : __builtin_inff();
  else if (exponent == 0)
    magnitude = static_cast<float>(fraction) * 0x1p-24f;
  else
    magnitude =
        static_cast<float>(1024 + fraction) * __uint_as_float((exponent + 102) << 23);  // 2^(exponent - 25)
  return bits & 0x8000 ? -magnitude : magnitude;
}

inline void cluster_arrive(int line = __builtin_LINE()) { simt_hooks->cluster_arrive(line); }
inline void cluster_wait(int line = __builtin_LINE()) { simt_hooks->cluster_wait(line); }
inline void cluster_sync(int line = __builtin_LINE()) {
  cluster_arrive(line);
  cluster_wait(line);
}
inline void store_in_block(float* to, int rank, float value) {
  *static_cast<float*>(simt_hooks->in_block(to, rank)) = value;
}

inline void wait_for_previous_kernel() { simt_hooks->previous_kernel_done(); }
inline void let_next_kernel_start() {}

}  // namespace simt_host
