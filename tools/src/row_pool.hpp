#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "operator_options.hpp"

namespace isofold::tools {

/// Natures of rows (below), that take turns in a pool.
inline constexpr std::int64_t row_natures = 13;

/// Inputs whose results the oracle has computed: rows of every nature (ordinary, of mixed magnitude,
/// subnormal, -0.0, huge, with infinities, with NaNs, any bits), each beside the others. The same problem,
/// number of rows and seed give the same bytes on every machine. Immutable once made; the oracle runs on all
/// threads.
class RowPool {
 public:
  enum class Results { oracle, none };
  /// When `stop` gives true the pool is left incomplete, and of no use; it is asked from several threads, before every row.
  RowPool(const Problem& problem, std::int64_t rows, std::uint64_t seed, Results results = Results::oracle,
          const std::function<bool()>& stop = {});

  const Problem& problem() const { return problem_; }
  std::int64_t rows() const { return rows_; }
  /// Of input tensor `tensor`: `row` of a row tensor, the whole of a column tensor.
  const std::byte* input(std::size_t tensor, std::int64_t row) const;
  /// Of output tensor `tensor`, by the oracle.
  const std::byte* expected(std::size_t tensor, std::int64_t row) const;
  std::size_t input_row_bytes(std::size_t tensor) const;
  std::size_t output_row_bytes(std::size_t tensor) const;

 private:
  Problem problem_;
  std::int64_t rows_;
  std::vector<std::vector<std::byte>> inputs_, outputs_;
};

/// SplitMix64: the same numbers on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t bound) { return bits() % bound; }

 private:
  std::uint64_t state_;
};

}  // namespace isofold::tools
