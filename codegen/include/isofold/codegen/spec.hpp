#pragma once
#include <isofold/codegen/dtype.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace isofold {

/// Changes whenever the meaning of a Spec or Fold text changes; part of every bits id.
inline constexpr int numerics_version = 1;

/// Type of a value. Every tensor is widened to one of the first two.
enum class Type : std::uint8_t { f32, i32, boolean };

/// The scalar operations. Each has exactly one right answer: binary32 results are rounded to nearest even with subnormals
/// kept, 32-bit integers wrap around.
enum class Op : std::uint8_t {
  input,        // element of an input tensor, widened exactly
  constant,     // a binary32 literal
  integer,      // a 32-bit integer literal
  index,        // the element's place in its row, from 0, an integer
  parameter,    // of a function's definition
  add,          // a + b
  sub,          // a - b
  mul,          // a * b
  fma,          // a * b + c, rounded once
  div,          // a / b
  sqrt,         // square root of a
  neg,          // a with the other sign
  abs,          // a without its sign
  max,          // the larger one, NaN when one is NaN; -0 < +0
  min,          // the smaller one, likewise
  less,         // a < b; false when one is NaN, as in the next two
  less_equal,   // a <= b
  equal,        // a == b
  where,        // a ? b : c
  both,         // a and b: of truth values, or bit by bit
  either,       // a or b
  shift_left,   // a << b, b from 0 to 31, a literal
  shift_right,  // a >> b, b likewise, filled with the sign
  bits,         // the bit pattern of a; 0x7fffffff for NaN
  from_bits,    // the number with this pattern
  from_int,     // the integer a, rounded to binary32
  round,        // a rounded to `dtype` and widened again
  call,         // functions()[function] of the operands
  sum,          // the row's sum of a under the fold; of mul(x, y) it is a sum of products
  reduce_max,   // the row's largest a, as `max` orders them
  reduce_min,   // the row's smallest a
};

constexpr bool is_reduction(Op op) { return op == Op::sum || op == Op::reduce_max || op == Op::reduce_min; }

/// One value in static single assignment form. Operands are indices of earlier nodes, -1 where absent.
struct Node {
  Op op = Op::constant;
  int a = -1;
  int b = -1;
  int c = -1;
  float value = 0;            // constant
  std::int32_t integer = 0;   // integer
  DType dtype = DType::f32;   // round
  int tensor = -1;            // input: index into Spec::inputs; parameter: its place
  int function = -1;          // call
  std::string name = {};      // of the statement, empty for an inner expression
  bool operator==(const Node&) const;
};

/// What a value depends on, and so how often it is computed.
enum class Level : std::uint8_t { constant, row, column, element };

/// row: [tokens, N], one row per token with a row stride; column: [N], shared by all tokens; token: [tokens], one number
/// per token with a stride.
enum class Extent : std::uint8_t { row, column, token };
std::string_view name_of(Extent extent);

struct Tensor {
  std::string name;
  DType dtype = DType::f32;
  Extent extent = Extent::row;
  bool operator==(const Tensor&) const = default;
};

/// A stored result: node `value` rounded to `dtype`; every NaN is stored as dtype's canonical NaN. Of a value that is the
/// same along the row one number per token is stored: extent token. Else extent row.
struct Output {
  std::string name;
  DType dtype = DType::f32;
  int value = -1;
  Extent extent = Extent::row;
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
inline constexpr std::int64_t max_row_length = 2147483647;
inline constexpr std::size_t max_spec_text = 8192;
inline constexpr int max_expression_depth = 64;
inline constexpr int max_reductions = 8;
inline constexpr int max_passes = 4;

/// One line:
///   rms_norm N=4096 (x: bf16[row], weight: bf16[column]) { total = sum(mul(x, x)); ...; y: bf16 = mul(x, r) }
/// A statement is `name = expression` or, for an output, `name: dtype = expression`. An expression is a name, a decimal
/// binary32 literal, inf, an integer literal (`12i`), N (the row length as binary32), `index`, or an operation, a dtype of
/// floats or a function applied to expressions. docs/adding-an-operator.md lists them.
std::string text(const Spec& spec);

/// Parses what `text` prints, in any spacing. Throws UsageError that quotes the place and says what is allowed:
/// names must be identifiers ([a-z][a-z0-9_]*, at most 32 characters, no operation, function, dtype or CUDA/C++ keyword) and
/// defined before they are used, once. parse_spec(text(s)) == s.
Spec parse_spec(std::string_view text);

/// The first rule that a Spec breaks, in words, or an empty string: operands that exist and have the right types, inner
/// values without a name used once, at least one reduction, nothing unused. parse_spec gives only Specs that break none.
std::string broken_rule(const Spec& spec);

/// Elements of one row of a tensor: N, or 1 for extent token.
constexpr std::int64_t row_elements(const Spec& spec, Extent extent) { return extent == Extent::token ? 1 : spec.n; }

/// Type of every node. Operands that do not fit their operation count as f32; `broken_rule` names them.
std::vector<Type> types(const Spec& spec);

/// Level of every node: the largest of its operands', and `row` for a reduction.
std::vector<Level> levels(const Spec& spec);

/// Indices of the reductions, in order.
std::vector<int> reductions(const Spec& spec);

/// The reductions by passes over the row: those of one pass use only results of the passes before it.
std::vector<std::vector<int>> passes(const Spec& spec);

/// For each node: the passes that have to be done before it is known. 0: it follows from the tensors alone.
std::vector<int> passes_before(const Spec& spec);

/// The same question with the results of its reductions as further f32 outputs. What is rounded to 16 bits hides most
/// differences between two reduction trees; these show them.
Spec with_reductions_shown(const Spec& spec);

/// For each node: does `root` need it (root included)?
std::vector<bool> needed_by(const Spec& spec, int root);

/// Operands of a node.
int operand_count(const Node& node);

}  // namespace isofold
