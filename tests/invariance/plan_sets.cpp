#include "invariance/plan_sets.hpp"

#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/cuda_emitter.hpp>
#include <isofold/codegen/functions.hpp>
#include <isofold/codegen/layer_norm.hpp>
#include <isofold/codegen/operators.hpp>
#include <isofold/codegen/quantize.hpp>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/codegen/softmax.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <numeric>
#include <set>
#include <tuple>

#include "support/call.hpp"
#include "support/named_dtypes.hpp"

namespace isofold::testing {
namespace {

constexpr std::array dtypes{DType::bf16, DType::f16, DType::f32};

PlanSet set_of(const RmsNormOptions& options, std::int64_t offset = 0, std::int64_t stride_padding = 0) {
  const Spec spec = rms_norm(options);
  return {fmt::format("{} offset {} padding {}", text(spec), offset, stride_padding), spec,
          default_fold(spec), offset, stride_padding};
}

/// The variants of the operator, numbered.
RmsNormOptions variant(int number, std::int64_t n, DType dtype) {
  RmsNormOptions options{.n = n, .dtype = dtype};
  switch (number % 6) {
    case 0:
      options.residual = true;
      break;
    case 1:
      break;
    case 2:
      options.weight_mode = WeightMode::after_cast;
      options.residual = true;
      options.residual_mode = ResidualMode::rounded_sum;
      break;
    case 3:
      options.weight = false;
      break;
    case 4:
      options.weight_offset_one = true;
      options.weight_dtype = DType::f32;
      options.output_dtype = DType::f16;
      break;
    case 5:
      options.residual = true;
      options.residual_dtype = DType::f32;
      options.output_dtype = DType::f32;
      options.weight_dtype = DType::bf16;
      options.weight_offset_one = true;
      options.weight_mode = WeightMode::after_cast;
      break;
  }
  return options;
}

}  // namespace

PlanSet exposed(PlanSet set) {
  set.spec = with_reductions_shown(set.spec);
  set.name += " exposed";
  return set;
}

namespace {

void add_lengths(std::vector<PlanSet>& sets) {
  int number = 0;
  for (std::int64_t n : {1,   2,   3,   5,   7,   8,   9,   15,  17,   24,   31,   33,   50,   64,   100,
                         129, 200, 255, 256, 257, 384, 520, 777, 1000, 1024, 2049, 4096, 4100, 5120, 8192})
    for (int repeat = 0; repeat < (n <= 64 ? 2 : 1); ++repeat, ++number) {
      const DType dtype = dtypes[static_cast<std::size_t>(number / 2 % 3)];
      sets.push_back(exposed(set_of(variant(number, n, dtype))));
    }
  sets.push_back(exposed(set_of(variant(0, 16384, DType::bf16))));
  sets.push_back(exposed(set_of(variant(1, 40000, DType::f16))));
  sets.push_back(exposed(set_of(variant(1, 65536, DType::bf16))));
}

void add_variants(std::vector<PlanSet>& sets) {
  for (DType dtype : dtypes)
    for (int number = 0; number < 6; ++number) sets.push_back(set_of(variant(number, 264, dtype)));
}

void add_alignments(std::vector<PlanSet>& sets) {
  for (DType dtype : dtypes)
    for (std::int64_t offset : {1, 2, 4}) sets.push_back(exposed(set_of(variant(0, 512, dtype), offset, 8)));
  sets.push_back(set_of(variant(2, 1032, DType::bf16), 0, 1));
  sets.push_back(set_of(variant(5, 96, DType::bf16), 8, 2));
  sets.push_back(exposed(set_of(variant(1, 4096, DType::bf16), 3, 5)));
}

void add_folds(std::vector<PlanSet>& sets) {
  const Spec spec = exposed(set_of(variant(0, 1536, DType::bf16))).spec;
  std::vector<Fold> folds = fold_family(spec);
  // Short and empty segments, several lanes in a thread, leaves of one element and of many accesses.
  folds.insert(folds.end(), {{1, 64, 8}, {2, 16, 16}, {32, 32, 2}, {8, 256, 2}, {64, 32, 1}, {16, 32, 4}});
  for (const Fold& fold : folds)
    if (!candidates(spec, fold, traits_of_arch("sm_90").value()).empty())
      sets.push_back({fmt::format("{} | {}", text(spec), text(fold)), spec, fold});
}

void add_specs(std::vector<PlanSet>& sets) {
  std::string functions_text = "functions N=264 (x: f32[row]) { ";
  for (const Function& function : functions())
    functions_text += fmt::format("{}by_{}: f32 = {}(x)", &function == &functions().front() ? "" : "; ", function.name, function.name);
  functions_text += " }";
  for (const char* text : {functions_text.c_str(),
           // Several sums: with columns in a later one, and independent ones.
           "three N=332 (x: f16[row], z: f32[row], c: f32[column]) { first = sum(mul(x, c)); next = sum(mul(add(z, first), c)); last = "
           "sum(mul(x, x)); y: f32 = add(mul(x, first), mul(next, last)); early: bf16 = z }",
           // A sum that a later pass alone uses, and one that takes nothing from the rows.
           "variance N=4100 (x: bf16[row]) { d = sub(x, div(sum(x), N)); y: f32 = div(sum(mul(d, d)), N) }",
           "count N=2050 (x: bf16[row], length: i32[token]) { count = sum(where(less(index, length), 1, 0)); y: bf16 = mul(x, count) }",
           "moments N=65 (x: f32[row]) { first = sum(x); second = sum(mul(x, x)); y: f32 = fma(x, first, second) }",
           // Inputs of 8 bits, alone and beside wider ones; columns of several rows; single elements.
           "bytes N=300 (x: e4m3[row], z: i8[row], c: e4m3[column]) { total = sum(mul(x, z)); y: bf16 = fma(x, total, mul(z, c)) }",
           "scaled N=1000 (x: bf16[row], z: e4m3[row], scale: e4m3[token]) { h = fma(z, scale, x); total = sum(mul(h, h)); "
           "y: f32 = mul(h, total) }",
           "chosen N=77 (x: f16[row], z: e4m3[row], place: i32[token], c: f32[column 3]) { here = at(x, place); d = sub(x, here); "
           "total = sum(mul(d, c)); y: f16 = mul(fma(d, c, at(z, 5i)), total); picked: f32 = add(here, at(x, 76i)) }",
           // No reduction: values along the row, numbers per token, both.
           "map N=520 (x: bf16[row], z: e4m3[row], c: f32[column 5], level: f32[token]) { y: bf16 = mul(fma(x, z, c), level); other: i8 = x }",
           "map N=5000 (x: f32[row]) { y: f16 = silu(x) }",
           "pick N=33 (x: bf16[row], place: i32[token]) { y: f32 = at(x, place) }",
           // Choices that the compiler would take for a minimum or maximum, of which -0 makes another; patterns of NaN.
           "halves N=264 (x: bf16[row]) { low = where(less(x, 0), x, 0); total = sum(low); y: bf16 = low; high: f32 = where(less(-0, x), "
           "x, -0); other: f32 = where(less_equal(0, x), 0, x); z: f32 = total; pattern: f32 = from_int(bits(fma(x, 1, -0))); shifted: f32 "
           "= from_int(shift_right(bits(neg(x)), 3i)) }",
           // Truth values and integers with names, used before and after sums.
           "shared N=131 (x: bf16[row], gain: f32[column], number: i32[token]) { inside = less(index, number); many = less(3i, number); "
           "pattern = bits(mul(x, gain)); far = add(index, number); total = sum(mul(where(inside, x, 0), from_int(far))); below = less(x, "
           "total); early = less(index, 20i); high = reduce_max(where(and(below, early), x, total)); y: f32 = where(or(inside, many), "
           "from_bits(or(pattern, 1i)), where(below, high, gain)); z: bf16 = add(from_int(where(many, far, and(pattern, 255i))), where(early, "
           "x, total)); t: f32 = where(many, total, high) }",
           // Groups of rows, a number for all tokens.
           "heads N=128 (x: bf16[row 6], gain: f32[column], eps: f32[scalar]) { total = sum(mul(x, x)); y: bf16[row 6] = "
           "mul(mul(x, div(1, sqrt(add(div(total, N), eps)))), gain) }",
           // Binary64.
           "wide N=1000 (x: f64[row], z: f64[row 4], c: f64[column]) { y: f64 = sqrt(abs(sum(mul(x, z)))); high: f64 = reduce_max(add(x, "
           "c)); low: f64 = mul(reduce_min(x), 0.1); mean: f64 = div(sum(z), N) }",
           "wide N=10001 (x: f64[row]) { y: f64 = sum(mul(x, x)); high: f64 = reduce_max(abs(x)) }",
           // Rows without elements.
           "empty N=0 (x: bf16[row], level: f32[token]) { total = sum(x); y: bf16 = mul(x, total); mean: f32 = div(total, N); shifted: f16 = "
           "add(add(total, level), sum(mul(x, x))) }",
           // A plain sum, whose skipped lanes show in rows of -0.
           "center N=332 (x: bf16[row]) { mean = div(sum(x), N); y: bf16 = add(x, mul(-1, mean)); "
           "scaled: f32 = mul(x, mean) }",
           "center N=1000 (x: f32[row]) { y: f32 = add(x, sum(x)) }",
           // Two inputs and a column before the sum, nested rounding, an output that needs no sum.
           "weighted N=520 (x: bf16[row], other: f16[row], weight: f32[column]) { product = f16(mul(x, "
           "weight)); "
           "total = sum(fma(product, other, x)); early: bf16 = product; "
           "y: f16 = fma(div(product, total), weight, 0.5) }",
           "inner N=1024 (x: bf16[row], other: bf16[row]) { dot = sum(mul(x, other)); y: bf16 = mul(x, dot); "
           "root: f32 = add(other, sqrt(dot)) }",
           // A named product is the same sum of products.
           "named N=776 (x: f32[row]) { square = mul(x, x); total = sum(square); y: f32 = div(square, total) "
           "}",
           "deep N=136 (x: f32[row], weight: bf16[column]) { v = bf16(add(x, f16(mul(weight, 3)))); "
           "q = add(weight, 1); total = sum(mul(v, q)); u = sqrt(fma(total, total, 1e-3)); first: f16 = "
           "div(v, u); "
           "second: bf16 = mul(q, fma(x, u, v)); third: f32 = v }",
       }) {
    const Spec spec = parse_spec(text);
    sets.push_back({text, spec, default_fold(spec)});
    // In turns, but for what compilers treat differently from one to the next.
    sets.back().one_architecture = spec.op != "halves";
  }
}

void add_layer_norms(std::vector<PlanSet>& sets) {
  const auto add = [&](const LayerNormOptions& options) {
    const Spec spec = layer_norm(options);
    sets.push_back(exposed({text(spec), spec, default_fold(spec)}));
  };
  for (std::int64_t n : {1, 7, 64, 264, 1000, 4096, 5120}) {
    add({.n = n});
    add({.n = n, .dtype = DType::f16, .bias = false, .weight_dtype = DType::f32, .residual = true});
  }
  add({.n = 520, .dtype = DType::f32, .output_dtype = DType::bf16, .weight = false});
  add({.n = 2049, .residual = true, .residual_mode = ResidualMode::rounded_sum});
  add({.n = 65536});
}

/// Rows that more blocks share than a cluster has.
void add_huge(std::vector<PlanSet>& sets) {
  for (const char* text : {"row_sum N=530001 (x: f16[row]) { y: f32 = sum(x) }", "row_sum N=1050001 (x: f32[row]) { y: f32 = sum(x) }",
                           "wide N=540000 (x: f64[row]) { y: f64 = sum(mul(x, x)); high: f64 = reduce_max(x) }"}) {
    const Spec spec = parse_spec(text);
    sets.push_back({text, spec, default_fold(spec)});
  }
}

/// Inputs that are masked where they were loaded, with limits around everything that ends in a row. x in a sum has rows of
/// -0 too.
void add_masks(std::vector<PlanSet>& sets, bool few) {
  const auto add = [&](const Spec& spec, const Fold& fold) {
    const auto n = static_cast<std::int32_t>(spec.n);
    PlanSet set = exposed({text(spec), spec, fold});
    set.integers = {INT32_MIN, -1, 0, 1, n - 1, n, n + 1, INT32_MAX};
    const auto segment = static_cast<std::int32_t>(leaves_per_segment(fold, spec.n)) * fold.leaf;
    for (const std::int32_t end : {fold.leaf, 3 * fold.leaf, segment, 2 * segment, n / 2})
      for (const std::int32_t limit : {end - 1, end, end + 1}) set.integers.push_back(limit);
    set.one_architecture = true;
    sets.push_back(std::move(set));
  };
  for (const char* text : {
           // A minimum, sums whose masked elements are 0 and -0; the masked input is an output, with and without a sum.
           "lowest N=520 (x: bf16[row], length: i32[token]) { z = where(less(index, length), x, inf); low: f32 = reduce_min(z); y: bf16 = z }",
           "total N=264 (x: f16[row], length: i32[token]) { z = where(less(index, length), x, 0); y: f16 = add(z, sum(z)) }",
           "total N=1000 (x: f32[row], length: i32[token]) { z = where(less(index, length), x, -0); y: f32 = add(z, sum(z)) }",
           "plain N=300 (x: bf16[row], length: i32[token]) { y: f32 = where(less(index, length), x, 0.5) }",
           // Two masked inputs beside columns and groups of rows; limits that are computed, written down and for all tokens.
           "both N=328 (x: bf16[row 3], other: f32[row], c: f32[column], length: i32[token]) { z = where(less(index, add(length, 1i)), x, -1); "
           "total = sum(mul(z, where(less(index, 77i), other, inf))); high = reduce_max(z); y: f32 = fma(total, c, add(z, high)) }",
           "scalar N=131 (x: f16[row], length: i32[scalar]) { z = where(less(index, length), x, 5.9604644775390625e-08); y: f32 = mul(z, sum(mul(z, z))) }",
           // What is not masked in place: x is used elsewhere, or its dtype does not hold the constant.
           "elsewhere N=264 (x: bf16[row], length: i32[token]) { high = reduce_max(where(less(index, length), x, -inf)); y: f32 = sub(x, high) }",
           "inexact N=264 (x: bf16[row], length: i32[token]) { z = where(less(index, length), x, 0.1); y: f32 = mul(z, sum(z)) }",
       }) {
    const Spec spec = parse_spec(text);
    add(spec, default_fold(spec));
  }
  if (few) return;
  int number = 0;
  for (const std::int64_t n : {1, 2, 7, 50, 100, 264, 777, 1000, 2049, 4096, 20480, 66000})
    for (int repeat = 0; repeat < (n <= 1000 ? 3 : 1); ++repeat) {
      const Spec spec = softmax({.n = n, .dtype = dtypes[static_cast<std::size_t>(number++ % 3)], .length = true});
      add(spec, default_fold(spec));
    }
  const Spec spec = softmax({.n = 1536, .length = true});
  for (const Fold& fold : {Fold{1, 64, 8}, {2, 16, 16}, {32, 32, 2}, {8, 256, 2}, {16, 32, 4}})
    if (!candidates(spec, fold, traits_of_arch("sm_90").value()).empty()) add(spec, fold);
}

/// Every operator that has a name, so that none can be left out.
void add_named(std::vector<PlanSet>& sets, bool few) {
  struct Place {
    std::int64_t offset, stride_padding;
  };
  constexpr std::array<Place, 4> places{{{0, 0}, {0, 5}, {8, 8}, {3, 0}}};
  const auto add_one = [&](const NamedOperator& named, std::int64_t n, DType dtype) {
    const Spec spec = named.make(n, dtype);
    const Place at = few ? Place{} : places[sets.size() % places.size()];
    sets.push_back(exposed({fmt::format("{} of {} offset {} padding {}", named.name, text(spec), at.offset, at.stride_padding), spec,
                            default_fold(spec), at.offset, at.stride_padding}));
    if (takes_numbers(spec)) sets.back().numbers = hard_numbers;
    // Conversions to 8 bits differ from architecture to architecture.
    sets.back().one_architecture = n > 264 || std::none_of(spec.outputs.begin(), spec.outputs.end(), [](const Output& o) { return size_of(o.dtype) == 1; });
  };
  int number = 0;
  for (const NamedOperator& named : named_operators()) {
    constexpr std::array<std::int64_t, 5> lengths{264, 1000, 777, 4096, 50};
    constexpr std::array<std::int64_t, 3> long_lengths{4096, 20480, 8192};
    const auto place = static_cast<std::size_t>(&named - named_operators().data());
    for (std::int64_t n : std::set<std::int64_t>{few ? 264 : lengths[static_cast<std::size_t>(number % 5)], few ? long_lengths[place % 3] : 1})
      add_one(named, n, dtypes[static_cast<std::size_t>(number++ % 3)]);
    if (few) continue;
    // Dtypes of other sizes.
    constexpr std::array<std::int64_t, 4> short_lengths{50, 96, 33, 264};
    const std::vector<DType> all = dtypes_of(named);
    add_one(named, short_lengths[place / 2 % 4], all[dtypes.size() + place % (all.size() - dtypes.size())]);
  }
  if (few) return;
  // Rows that a cluster shares, rows whose calls wait in shared memory, and rows whose leaves are a loop.
  for (const auto& [name, n, dtype] : {std::tuple{"softmax", std::int64_t{70001}, DType::bf16}, {"softmax", 20480, DType::bf16},
                                       {"masked_softmax", 600001, DType::f16}})
    for (const NamedOperator& named : named_operators()) {
      if (named.name != name) continue;
      const Spec spec = named.make(n, dtype);
      sets.push_back(exposed({text(spec), spec, default_fold(spec)}));
    }
  const auto add = [&](const Spec& spec) {
    sets.push_back(exposed({text(spec), spec, default_fold(spec)}));
    sets.back().numbers = hard_numbers;
  };
  add(silu_and_mul_quant({.n = 264, .quantize = {.dtype = DType::i8, .scale_input = true}}));
  add(softmax({.n = 1024, .dtype = DType::f16, .scale = 0.5f, .temperature = true, .length = true, .sink = true}));
  add(softmax({.n = 777, .output_dtype = DType::f32, .scale = 0.125f, .temperature = true}));
  add(softmax({.n = 520, .output_dtype = DType::f32, .log = true, .temperature = true, .length = true}));
}

}  // namespace

std::vector<PlanSet> plan_sets() {
  std::vector<PlanSet> sets;
  add_lengths(sets);
  add_variants(sets);
  add_alignments(sets);
  add_folds(sets);
  add_specs(sets);
  add_layer_norms(sets);
  add_masks(sets, false);
  add_named(sets, false);
  add_huge(sets);
  return sets;
}

std::vector<PlanSet> few_plan_sets() {
  std::vector<PlanSet> sets;
  add_specs(sets);
  add_masks(sets, true);
  for (std::int64_t n : {4096, 8192}) {
    const Spec spec = layer_norm({.n = n});
    sets.push_back({text(spec), spec, default_fold(spec)});
  }
  add_named(sets, true);
  add_huge(sets);
  sets.push_back(set_of(variant(2, 9, DType::f16)));
  sets.push_back(set_of(variant(5, 777, DType::bf16)));
  sets.push_back(set_of(variant(0, 512, DType::bf16), 1));
  sets.push_back(set_of(variant(0, 4096, DType::bf16)));
  sets.push_back(set_of(variant(0, 8192, DType::bf16)));
  sets.push_back(set_of(variant(1, 5120, DType::f32)));
  sets.push_back(set_of(variant(0, 65536, DType::bf16)));
  return sets;
}

std::vector<Plan> distinct_candidates(const PlanSet& set, std::string_view arch) {
  // Offsets and strides in elements; a base is aligned to 256 bytes.
  const std::int64_t both = std::gcd(set.offset, set.spec.n + set.stride_padding);
  const std::int64_t alignment = both & -both;
  const int vector_limit = max_vector(set.spec, set.fold, alignment);
  std::vector<Plan> plans;
  std::set<std::string> seen;
  for (const Plan& plan : candidates(set.spec, set.fold, traits_of_arch(arch).value(), vector_limit)) {
    std::string code = emit_cuda(plan).text;
    code.erase(0, code.find("constexpr"));  // the opening comment names the schedule
    if (seen.insert(std::move(code)).second) plans.push_back(plan);
  }
  return plans;
}

}  // namespace isofold::testing
