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
inline void load_1(unsigned* words, int p, const void* from) {
  unsigned element = 0;
  load<1>(&element, from);
  words[p / 4] = p % 4 == 0 ? element : words[p / 4] + (element << 8 * (p % 4));
}
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

inline void store_1(void* to, const unsigned* words, int p) {
  const unsigned element = words[p / 4] >> 8 * (p % 4);
  store<1>(to, &element);
}

template <class T>
T choose(bool chosen, T a, T b) {
  return chosen ? a : b;
}

inline float max_or_nan(float a, float b) {
  if (a != a || b != b) return __builtin_bit_cast(float, 0x7fffffffu);
  if (a == b) return __builtin_signbit(a) ? b : a;
  return a > b ? a : b;
}
inline float min_or_nan(float a, float b) {
  if (a != a || b != b) return __builtin_bit_cast(float, 0x7fffffffu);
  if (a == b) return __builtin_signbit(a) ? a : b;
  return a < b ? a : b;
}

/// Of 16-bit floats with their exponents in `exponent`: of either sign, patterns order like their numbers.
inline unsigned short extreme_of_16_bits(unsigned a, unsigned b, unsigned exponent, bool largest) {
  if ((a & 0x7fff) > exponent || (b & 0x7fff) > exponent) return 0x7fff;
  const auto place = [](unsigned bits) { return bits & 0x8000 ? -1 - static_cast<int>(bits & 0x7fff) : static_cast<int>(bits); };
  return static_cast<unsigned short>((place(a) > place(b)) == largest ? a : b);
}
inline unsigned extreme_of_pairs(unsigned a, unsigned b, unsigned exponent, bool largest) {
  return extreme_of_16_bits(a & 0xffff, b & 0xffff, exponent, largest) | unsigned{extreme_of_16_bits(a >> 16, b >> 16, exponent, largest)} << 16;
}
inline unsigned max_or_nan_pair_bf16(unsigned a, unsigned b) { return extreme_of_pairs(a, b, 0x7f80, true); }
inline unsigned min_or_nan_pair_bf16(unsigned a, unsigned b) { return extreme_of_pairs(a, b, 0x7f80, false); }
inline unsigned max_or_nan_pair_f16(unsigned a, unsigned b) { return extreme_of_pairs(a, b, 0x7c00, true); }
inline unsigned min_or_nan_pair_f16(unsigned a, unsigned b) { return extreme_of_pairs(a, b, 0x7c00, false); }

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

/// The nearest of all 127 magnitudes; of two as near the one with the even pattern.
inline unsigned e4m3_of_value(float value) {
  if (value != value) return 0x7f;
  const double magnitude = __builtin_fabs(value);
  unsigned best = 0;
  double nearest = magnitude;
  for (unsigned bits = 1; bits < 0x7f; ++bits) {
    const unsigned exponent = bits / 8, fraction = bits % 8;
    double candidate = exponent == 0 ? fraction * 0x1p-9 : (8 + fraction) * 0x1p-9;
    for (unsigned i = 1; i < exponent; ++i) candidate *= 2;
    const double distance = __builtin_fabs(candidate - magnitude);
    if (distance < nearest || (distance == nearest && bits % 2 == 0)) best = bits, nearest = distance;
  }
  if (magnitude > 448) best = 0x7e;
  return best + (__builtin_signbit(value) ? 0x80 : 0);
}
inline unsigned pack_e4m3(float first, float second, float third, float fourth) {
  return e4m3_of_value(first) | e4m3_of_value(second) << 8 | e4m3_of_value(third) << 16 | e4m3_of_value(fourth) << 24;
}
inline unsigned i8_of(float value) {
  if (value != value) return 0;
  const double nearest = __builtin_rint(static_cast<double>(value));
  return static_cast<unsigned>(static_cast<int>(nearest < -128 ? -128 : nearest > 127 ? 127 : nearest)) & 0xff;
}
inline unsigned pack_i8(float first, float second, float third, float fourth) {
  return i8_of(first) | i8_of(second) << 8 | i8_of(third) << 16 | i8_of(fourth) << 24;
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
template <class T>
void store_in_block(T* to, int rank, T value) {
  *static_cast<T*>(simt_hooks->in_block(to, rank)) = value;
}

inline void wait_for_previous_kernel() { simt_hooks->previous_kernel_done(); }
inline void let_next_kernel_start() {}

}  // namespace simt_host
