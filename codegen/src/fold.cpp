#include <isofold/codegen/digest.hpp>
#include <isofold/codegen/fold.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "key_values.hpp"

namespace isofold {
namespace {

/// Segments of the default fold at most: 64 warps can share a row. Measured: docs/benchmarks.md, "The default fold".
constexpr std::int64_t default_segment_limit = 64;
/// Rows that would have this many segments are faster with half of them, one for each warp of 512 threads (measured, same
/// place).
constexpr std::int64_t segments_to_halve = 32;
/// From here on a row has many leaves for every lane, and what counts is how many warps share it. Measured on softmax: same
/// place.
constexpr std::int64_t long_row = 16384;
constexpr std::int64_t longest_of_32_segments = 40960;
constexpr std::int64_t longest_of_64_segments = 65536;
/// Up to here 16-bit rows have leaves of 8 bytes, unless functions of their elements are called (softmax was measured with 16).
/// Measured on layer_norm and mean of 32000 and 128256: same place.
constexpr std::int64_t longest_of_half_leaves = 131072;
/// Longer ones have so many segments that a warp can keep one in its registers, up to what 32 blocks of 1024 threads share.
constexpr std::int64_t most_elements_of_a_lane = 64;
constexpr std::int64_t most_segments = 1024;
/// Of binary64, whose chains take two registers.
constexpr std::int64_t most_wide_segments = 512;
/// 128 bytes.
constexpr std::int64_t leaves_per_cache_line = 8;

bool calls_functions_of_elements(const Spec& spec) {
  const auto level = levels(spec);
  for (std::size_t i = 0; i < level.size(); ++i)
    if (spec.nodes[i].op == Op::call && level[i] == Level::element) return true;
  return false;
}

std::int64_t power_of_two_at_least(std::int64_t value) {
  return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(value)));
}

}  // namespace

std::string text(const Fold& fold) {
  return fmt::format("leaf={} lanes={} segments={}", fold.leaf, fold.lanes, fold.segments);
}

Fold parse_fold(std::string_view text) {
  KeyValues values("fold", text);
  Fold fold;
  fold.leaf = values.number("leaf", 1, max_leaf);
  fold.lanes = values.number("lanes", 1, max_lanes);
  fold.segments = values.number("segments", 1, max_segments);
  values.finish();
  if (const std::string rule = broken_rule(fold); !rule.empty()) throw UsageError("fold: " + rule);
  return fold;
}

std::string broken_rule(const Fold& fold) {
  const auto bad = [](int value, int most) {
    return value < 1 || value > most || !std::has_single_bit(static_cast<unsigned>(value));
  };
  if (bad(fold.leaf, max_leaf)) return fmt::format("leaf={} must be a power of two from 1 to {}", fold.leaf, max_leaf);
  if (bad(fold.lanes, max_lanes))
    return fmt::format("lanes={} must be a power of two from 1 to {}", fold.lanes, max_lanes);
  if (bad(fold.segments, max_segments))
    return fmt::format("segments={} must be a power of two from 1 to {}", fold.segments, max_segments);
  return {};
}

Fold default_fold(const Spec& spec) {
  // A leaf is one 16-byte access of the first input. A warp reads 32 leaves at once: a segment for each warp's worth
  // makes every launch shape from one warp to a cluster per row cheap. Rows of more than 8 such segments take fewer,
  // longer ones where only those keep 7 in 10 of a warp's lanes busy and begin at whole cache lines.
  if (const std::string rule = broken_rule(spec); !rule.empty()) throw UsageError("spec: " + rule);
  Fold fold;
  fold.leaf = static_cast<int>(16 / size_of(spec.inputs.front().dtype));
  if (spec.n == 0) return fold;
  if (fold.leaf == 8 && spec.n > long_row && spec.n <= longest_of_half_leaves && !calls_functions_of_elements(spec)) fold.leaf = 4;
  const std::int64_t count = leaves(fold, spec.n);
  const auto each = [&](std::int64_t segments) { return (count + segments - 1) / segments; };
  const auto busy_percent = [&](std::int64_t segments) {
    return 100 * count / (segments * ((each(segments) + 31) / 32) * 32);
  };
  const auto suits = [&](std::int64_t segments) {
    return busy_percent(segments) >= 70 && each(segments) % leaves_per_cache_line == 0;
  };
  std::int64_t most = std::min(power_of_two_at_least((count + 31) / 32), default_segment_limit);
  if (spec.n > long_row) {
    const auto elements = [&](std::int64_t segments) { return (each(segments) + 31) / 32 * fold.leaf; };
    most = spec.n <= longest_of_32_segments ? 32 : 64;
    const std::int64_t limit = is_wide(spec) ? most_wide_segments : most_segments;
    while (spec.n > longest_of_64_segments && most < limit && elements(most) > most_elements_of_a_lane) most *= 2;
    while (most > 16 && busy_percent(most) < 85) most /= 2;
    fold.segments = static_cast<int>(most);
    fold.lanes = 32;
    return fold;
  }
  if (most == segments_to_halve) most /= 2;
  std::int64_t best = most;
  for (std::int64_t segments = most; segments >= 8 && !suits(best); segments /= 2)
    if (suits(segments) || busy_percent(segments) > busy_percent(best)) best = segments;
  fold.segments = static_cast<int>(best);
  fold.lanes = static_cast<int>(std::min<std::int64_t>(power_of_two_at_least(leaves_per_segment(fold, spec.n)), 32));
  return fold;
}

std::int64_t leaves(const Fold& fold, std::int64_t n) { return (n + fold.leaf - 1) / fold.leaf; }

std::int64_t leaves_per_segment(const Fold& fold, std::int64_t n) {
  return (leaves(fold, n) + fold.segments - 1) / fold.segments;
}

std::string bits_id(const Spec& spec, const Fold& fold) {
  return digest(fmt::format("isofold bits {} | {} | {}", numerics_version, text(spec), text(fold)));
}

}  // namespace isofold
