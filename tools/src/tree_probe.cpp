#include "tree_probe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "console.hpp"
#include "row_pool.hpp"

namespace isofold::tools {
namespace {

/// Numbers of a mask, and up to which multiples of the small one results are exact.
struct Mask {
  float large, small;
  std::int64_t exact;
};

Mask mask_of(DType dtype) {
  switch (dtype) {
    case DType::f16:
      return {0x1p15f, 0x1p-24f, 2048};
    case DType::bf16:
      return {0x1p100f, 1.0f, 256};
    default:  // also larger than binary64 can tell 1 from
      return {0x1p100f, 1.0f, std::int64_t{1} << 24};
  }
}

/// Most numbers of a call, so that many rows do not take all memory.
constexpr std::int64_t most_numbers = std::int64_t{1} << 26;

class Prober {
 public:
  Prober(Callable& callable, std::int64_t n, std::int64_t tokens)
      : callable_(callable), n_(n), tokens_(tokens), mask_(mask_of(callable.dtype())), rows_(static_cast<std::size_t>(n * tokens)) {
    if (n * tokens > most_numbers)
      throw UsageError(fmt::format("{} rows of {} elements are too many for the probe: at most {} numbers", tokens, n,
                                   most_numbers));
  }

  ProbedTree probe() {
    find_scale();
    ProbedTree probed{find_tree(n_, [&](auto pairs) { return sizes(pairs); }), 0, -1};
    if (scale_ == 1 && callable_.dtype() == DType::f32 && n_ > 1) probed.confirmed = confirm(probed.tree);
    probed.calls = calls_;
    return probed;
  }

 private:
  std::span<float> row(std::int64_t index) {
    return std::span(rows_).subspan(static_cast<std::size_t>(index * n_), static_cast<std::size_t>(n_));
  }

  /// The first result of each row.
  std::vector<double> call() {
    if (interrupted()) throw NoTree("it was interrupted");
    ++calls_;
    std::vector<double> results = callable_.call(rows_, tokens_, n_);
    const std::size_t each = results.size() / static_cast<std::size_t>(tokens_);
    for (std::size_t i = 0; i < static_cast<std::size_t>(tokens_); ++i) results[i] = results[i * each];
    results.resize(static_cast<std::size_t>(tokens_));
    return results;
  }

  /// What one small number counts in the result.
  void find_scale() {
    std::fill(rows_.begin(), rows_.end(), 0.0f);
    for (std::int64_t r = 0; r < tokens_; ++r) row(r)[static_cast<std::size_t>(r % n_)] = mask_.small;
    const std::vector<double> ones = call();
    if (!(std::isfinite(ones[0]) && ones[0] != 0))
      throw NoTree(fmt::format("of a row of zeros and one {} the result is {}: this is no sum", mask_.small, ones[0]));
    for (std::size_t i = 0; i < ones.size(); ++i)
      if (ones[i] != ones[0])
        throw NoTree(fmt::format("element {} counts {}, element {} counts {}: this is no sum of equal parts", 0, ones[0],
                                 i % static_cast<std::size_t>(n_), ones[i]));
    scale_ = ones[0] / mask_.small;
    int exponent = 0;
    // Multiples of a number with few digits are exact; of others they are rounded, and fewer can be told apart.
    exact_ = std::abs(std::frexp(scale_, &exponent)) == 0.5 ? mask_.exact : mask_.exact / 16;

    // Many of them count as many times as much, and twice as large ones twice.
    const std::int64_t many = std::min(n_, exact_);
    for (const float number : {mask_.small, 2 * mask_.small}) {
      std::fill(rows_.begin(), rows_.end(), 0.0f);
      for (std::int64_t r = 0; r < tokens_; ++r) std::fill_n(row(r).begin(), number == mask_.small ? many : 1, number);
      const double expected = scale_ * number * static_cast<double>(number == mask_.small ? many : 1);
      for (const double result : call())
        if (!(std::abs(result - expected) <= std::abs(expected) / static_cast<double>(4 * many)))
          throw NoTree(fmt::format("of a row with {} elements of {} the result is {} and not {}: this is no sum",
                                   number == mask_.small ? many : 1, number, result, expected));
    }
  }

  std::vector<std::int64_t> sizes(std::span<const std::pair<std::int64_t, std::int64_t>> pairs) {
    struct Question {
      std::size_t pair;
      std::int64_t first, last;  // elements that have the small number; the others are 0
    };
    std::vector<Question> questions;
    for (std::size_t pair = 0; pair < pairs.size(); ++pair)
      for (std::int64_t first = 0; first < n_; first += exact_)
        questions.push_back({pair, first, std::min(n_, first + exact_)});
    std::vector<std::int64_t> outside(pairs.size(), 0);
    for (std::size_t begin = 0; begin < questions.size(); begin += static_cast<std::size_t>(tokens_)) {
      // Rows that ask nothing new ask again.
      const auto question = [&](std::int64_t r) -> const Question& {
        return questions[std::min(begin + static_cast<std::size_t>(r), questions.size() - 1)];
      };
      for (std::int64_t r = 0; r < tokens_; ++r) {
        const Question& q = question(r);
        const std::span<float> x = row(r);
        std::fill(x.begin(), x.end(), 0.0f);
        std::fill(x.begin() + q.first, x.begin() + q.last, mask_.small);
        x[static_cast<std::size_t>(pairs[q.pair].first)] = mask_.large;
        x[static_cast<std::size_t>(pairs[q.pair].second)] = -mask_.large;
      }
      const std::vector<double> results = call();
      for (std::int64_t r = 0; r < tokens_ && begin + static_cast<std::size_t>(r) < questions.size(); ++r)
        outside[question(r).pair] += counted_in(results[static_cast<std::size_t>(r)]);
    }
    std::vector<std::int64_t> inside;
    for (const std::int64_t count : outside) inside.push_back(n_ - count);
    const bool first = !std::exchange(asked_, true);
    if (first && n_ > 2 && std::all_of(inside.begin(), inside.end(), [](std::int64_t size) { return size == 2; }))
      throw NoTree("every pair of elements seems to meet first: the sum is kept in more digits than the probe's numbers take, "
                   "or it is compensated");
    return inside;
  }

  std::int64_t counted_in(double result) const {
    const double count = result / (scale_ * mask_.small);
    const double whole = std::round(count);
    if (!(std::abs(count - whole) < 0.25) || whole < 0 || whole > static_cast<double>(n_ - 2))
      throw NoTree(fmt::format("of a mask the result is {}, which is no count of elements: this is no sum, or not one of the "
                               "same order in every call and row",
                               result));
    return static_cast<std::int64_t>(whole);
  }

  std::int64_t confirm(const SumTree& tree) {
    Random random(2);
    for (float& value : rows_) {
      const std::uint64_t bits = random.bits();
      value = std::ldexp(static_cast<float>(static_cast<std::int32_t>(bits >> 40) - (1 << 23)), static_cast<int>(bits % 12) - 30);
    }
    const std::vector<double> results = call();
    std::int64_t equal = 0;
    for (std::int64_t r = 0; r < tokens_; ++r) {
      const std::optional<float> expected = tree.sum(row(r));
      if (!expected) return -1;
      equal += static_cast<double>(*expected) == results[static_cast<std::size_t>(r)];
    }
    return equal;
  }

  Callable& callable_;
  std::int64_t n_, tokens_;
  Mask mask_;
  std::vector<float> rows_;
  std::int64_t exact_ = 0, calls_ = 0;
  bool asked_ = false;
  double scale_ = 1;
};

/// Row `index` of the random rows: numbers that the dtype holds, of magnitudes so different that sums in binary32 round.
void fill_random(std::span<float> row, DType dtype, std::uint64_t index) {
  const int digits = size_of(dtype) >= 4 ? 24 : 8;
  Random random(1000 + index);
  for (float& value : row) {
    const std::uint64_t bits = random.bits();
    const auto mantissa = static_cast<std::int32_t>(bits >> (64 - digits)) - (1 << (digits - 1));
    value = std::ldexp(static_cast<float>(mantissa), static_cast<int>(bits % 20) - 8 - digits);
  }
}

}  // namespace

ProbedTree probe_tree(Callable& callable, std::int64_t n, std::int64_t tokens) { return Prober(callable, n, tokens).probe(); }

RowBits compare_rows(Callable& callable, std::int64_t n, std::int64_t tokens) {
  constexpr std::int64_t most_alone = 16;  // calls over one row
  const std::int64_t kinds = std::min(tokens, most_alone);
  std::vector<std::vector<double>> alone;
  std::vector<float> one(static_cast<std::size_t>(n));
  for (std::int64_t kind = 0; kind < kinds; ++kind) {
    fill_random(one, callable.dtype(), static_cast<std::uint64_t>(kind));
    alone.push_back(callable.call(one, 1, n));
  }
  std::vector<float> rows(static_cast<std::size_t>(n * tokens));
  for (std::int64_t row = 0; row < tokens; ++row)
    fill_random(std::span(rows).subspan(static_cast<std::size_t>(row * n), static_cast<std::size_t>(n)),
                callable.dtype(), static_cast<std::uint64_t>(row % kinds));
  const std::vector<double> together = callable.call(rows, tokens, n);
  RowBits bits{tokens, 0};
  const std::size_t each = together.size() / static_cast<std::size_t>(tokens);
  for (std::int64_t row = 0; row < tokens; ++row) {
    const std::vector<double>& expected = alone[static_cast<std::size_t>(row % kinds)];
    const double* actual = together.data() + static_cast<std::size_t>(row) * each;
    bits.differing += expected.size() != each || std::memcmp(expected.data(), actual, each * sizeof(double)) != 0;
  }
  return bits;
}

}  // namespace isofold::tools
