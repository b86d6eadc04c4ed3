#pragma once
#include <isofold/codegen/spec.hpp>
#include <isofold/export.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace ISOFOLD_API isofold {

/// The reduction tree of a row's sum. Everything here can change a bit.
///
/// Elements are cut into leaves of `leaf` consecutive elements (the last may be short), leaves into `segments`
/// contiguous segments of Q = ceil(leaves / segments), and leaf q of a segment, counted from the segment's start,
/// belongs to lane q mod `lanes`. A lane is one sequential chain over its leaves; lanes combine by halving (i with
/// i + lanes/2, then lanes/4, ... 1); segments combine in adjacent pairs. A lane or segment without an element is
/// skipped, which is not the same as adding zero.
struct Fold {
  int leaf = 1;
  int lanes = 1;
  int segments = 1;
  bool operator==(const Fold&) const = default;
};

/// Largest values that `check_fold` accepts.
inline constexpr int max_leaf = 64;
inline constexpr int max_lanes = 1024;
inline constexpr int max_segments = 1024;

/// "leaf=8 lanes=32 segments=32"; parse_fold reads it back and throws UsageError otherwise.
std::string text(const Fold& fold);
Fold parse_fold(std::string_view text);

/// Empty when the fold is well formed (powers of two, within the limits), else the broken rule.
std::string broken_rule(const Fold& fold);

/// The fold that every machine uses for this Spec: a pure function of the Spec.
Fold default_fold(const Spec& spec);

/// Number of leaves of a row, and of leaves per segment (the last segments may hold fewer, or none).
std::int64_t leaves(const Fold& fold, std::int64_t n);
std::int64_t leaves_per_segment(const Fold& fold, std::int64_t n);

/// Digest of (Spec text, Fold text, numerics version). Equal bits id = equal output bits.
std::string bits_id(const Spec& spec, const Fold& fold);

}  // namespace isofold
