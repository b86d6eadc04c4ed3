#pragma once
#include <cstdint>

namespace isofold::testing {

/// SplitMix64: small, good enough, and the same numbers on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  /// The generator of item (a, b) of a larger seeded set.
  Random(std::uint64_t seed, std::uint64_t a, std::uint64_t b = 0) : state_(seed) {
    state_ = bits() ^ a;
    state_ = bits() ^ b;
  }

  std::uint64_t bits() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// Uniform in 0 .. bound - 1 (the bias is far below what a test could see).
  std::uint64_t below(std::uint64_t bound) { return bits() % bound; }
  bool one_in(std::uint64_t count) { return below(count) == 0; }

 private:
  std::uint64_t state_;
};

}  // namespace isofold::testing
