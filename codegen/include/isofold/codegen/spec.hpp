#pragma once
#include <isofold/codegen/dtype.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace isofold {

/// Changes whenever the meaning of a Spec or Fold text changes; part of every bits id.
inline constexpr int numerics_version = 1;

/// The scalar operations. Each has exactly one right binary32 answer (round to nearest even, subnormals kept).
enum class Op : std::uint8_t {
  input,     // element of an input tensor, widened exactly to binary32
  constant,  // a binary32 literal
  add,       // a + b
  mul,       // a * b
  fma,       // a * b + c, rounded once
  div,       // a / b
  sqrt,      // square root of a
  round,     // a rounded to `dtype` and widened again
  sum,       // the row's sum of a under the fold; of mul(x, y) it is a sum of products. It may use earlier sums
};

/// One value in static single assignment form. Operands are indices of earlier nodes, -1 where absent.
struct Node {
  Op op = Op::constant;
  int a = -1;
  int b = -1;
  int c = -1;
  float value = 0;            // constant
  DType dtype = DType::f32;   // round
  int tensor = -1;            // input: index into Spec::inputs
  std::string name = {};      // of the statement, empty for an inner expression
  bool operator==(const Node&) const;
};

/// What a value depends on, and so how often it is computed.
enum class Level : std::uint8_t { constant, row, column, element };

/// row: [tokens, N], one row per token with a row stride; column: [N], shared by all tokens.
enum class Extent : std::uint8_t { row, column };

struct Tensor {
  std::string name;
  DType dtype = DType::f32;
  Extent extent = Extent::row;
  bool operator==(const Tensor&) const = default;
};

/// A stored result of extent row: node `value` rounded to `dtype`; every NaN is stored as dtype's canonical NaN.
struct Output {
  std::string name;
  DType dtype = DType::f32;
  int value = -1;
  bool operator==(const Output&) const = default;
};

/// The question: what is computed from a row of N elements. Everything here can change a bit.
struct Spec {
  std::string op;
  std::int64_t n = 0;
  std::vector<Tensor> inputs;
  std::vector<Node> nodes;  // in depth-first order of the statements
  std::vector<Output> outputs;
  bool operator==(const Spec&) const = default;
};

/// Row lengths and text sizes that are accepted.
inline constexpr std::int64_t max_row_length = 65536;
inline constexpr std::size_t max_spec_text = 8192;
inline constexpr int max_expression_depth = 64;
inline constexpr int max_sums = 4;

/// One line:
///   rms_norm N=4096 (x: bf16[row], weight: bf16[column]) { total = sum(mul(x, x)); ...; y: bf16 = mul(x, r) }
/// A statement is `name = expression` or, for an output, `name: dtype = expression`; an expression is a name, a decimal
/// literal, N (the row length), or one of add mul fma div sqrt sum bf16 f16 f32 applied to expressions.
std::string text(const Spec& spec);

/// Parses what `text` prints, in any spacing. Throws UsageError that quotes the place and says what is allowed:
/// names must be identifiers ([a-z][a-z0-9_]*, at most 32 characters, no operation, dtype or CUDA/C++ keyword) and
/// defined before they are used, once. parse_spec(text(s)) == s.
Spec parse_spec(std::string_view text);

/// The first rule that a Spec breaks, in words, or an empty string: operands that exist, inner values without a name used
/// once, at least one sum, outputs that vary along the row, nothing unused. parse_spec gives only Specs that break none.
std::string broken_rule(const Spec& spec);

/// Level of every node: the largest of its operands', and `row` for a sum.
std::vector<Level> levels(const Spec& spec);

/// Indices of the `sum` nodes, in order. Each is a pass over the row; a pass may use the results of those before it.
std::vector<int> sum_nodes(const Spec& spec);

/// The same question with its sums, unrounded, as further f32 outputs. A result rounded to 16 bits hides most differences
/// between two reduction trees; these show them. (Where the first row input is NaN or infinite, so are they.)
Spec with_sums_shown(const Spec& spec);

/// For each node: the passes that have to be done before it is known. 0: it follows from the tensors alone.
std::vector<int> passes_before(const Spec& spec);

/// For each node: does `root` need it (root included)?
std::vector<bool> needed_by(const Spec& spec, int root);

}  // namespace isofold
