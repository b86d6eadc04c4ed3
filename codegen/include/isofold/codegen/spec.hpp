#pragma once
#include <isofold/codegen/dtype.hpp>
#include <isofold/export.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ISOFOLD_API isofold {

/// Changes whenever the meaning of a Spec or Fold text changes; part of every bits id.
inline constexpr int numerics_version = 1;

/// Type of a value. Every tensor is widened to one of the first two. In Specs of f64 (is_wide) the first is binary64.
enum class Type : std::uint8_t { f32, i32, boolean };

/// The scalar operations. Each has exactly one right answer: binary32 results are rounded to nearest even with subnormals
/// kept (binary64 in Specs of f64), 32-bit integers wrap around.
enum class Op : std::uint8_t {
  input,        // element of an input tensor, widened exactly
  constant,     // a binary32 literal
  integer,      // a 32-bit integer literal
  index,        // the element's place in its row, from 0, an integer
  element,      // element a of a row input, widened exactly; NaN where the row has none
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
  double value = 0;           // constant: a binary32 number but in Specs of f64
  std::int32_t integer = 0;   // integer
  DType dtype = DType::f32;   // round
  int tensor = -1;            // input, element: index into Spec::inputs; parameter: its place
  int function = -1;          // call
  std::string name = {};      // of the statement, empty for an inner expression
  bool operator==(const Node&) const;
};

/// What a value depends on, and so how often it is computed.
enum class Level : std::uint8_t { constant, row, column, element };

/// row: [tokens, N], one row per token with a row stride, or [tokens / groups, groups, N], where the stride is that of groups
/// of dense rows; column: [N], shared by all tokens, or [groups, N], dense, of which token t uses row t mod groups; token:
/// [tokens], one number per token with a stride; scalar: one number.
enum class Extent : std::uint8_t { row, column, token, scalar };
std::string_view name_of(Extent extent);

struct Tensor {
  std::string name;
  DType dtype = DType::f32;
  Extent extent = Extent::row;
  int groups = 1;  // row: that lie together; column: its rows
  bool operator==(const Tensor&) const = default;
};

/// A stored result: node `value` rounded to `dtype`; every NaN is stored as dtype's canonical NaN. Of a value that is the
/// same along the row one number per token is stored: extent token. Else extent row.
struct Output {
  std::string name;
  DType dtype = DType::f32;
  int value = -1;
  Extent extent = Extent::row;
  int groups = 1;  // as of Tensor
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

/// Row lengths and text sizes that are accepted. Rows of length 0 are empty: their sums are 0, and what has one number per
/// element has none.
inline constexpr std::int64_t max_row_length = 2147483647;
inline constexpr int max_groups = 65536;
inline constexpr std::size_t max_tensors = 40;  // that a launch can pass
inline constexpr std::size_t max_spec_text = 8192;
inline constexpr int max_expression_depth = 64;
inline constexpr int max_reductions = 8;
inline constexpr int max_passes = 4;

/// One line:
///   rms_norm N=4096 (x: bf16[row], weight: bf16[column]) { total = sum(mul(x, x)); ...; y: bf16 = mul(x, r) }
/// A statement is `name = expression` or, for an output, `name: dtype = expression`. Extents are row, column, token and scalar;
/// rows that lie in groups and columns of several rows have their number, `x: bf16[row 8]`, outputs too, `y: bf16[row 8]`. An
/// expression is a name, a decimal
/// binary32 literal, inf, an integer literal (`12i`), N (the row length as binary32), `index`, `at(x, place)` of a row input,
/// or an operation, a dtype of floats or a function applied to expressions. docs/adding-an-operator.md lists them.
std::string text(const Spec& spec);

/// Parses what `text` prints, in any spacing. Throws UsageError that quotes the place and says what is allowed:
/// names must be identifiers ([a-z][a-z0-9_]*, at most 32 characters, no operation, function, dtype or CUDA/C++ keyword) and
/// defined before they are used, once. parse_spec(text(s)) == s.
Spec parse_spec(std::string_view text);

/// Is everything in this Spec binary64? So it is when an input is f64. Such a Spec has f64 tensors alone, one pass, one number
/// per token as outputs, and neither integers, roundings, functions nor single elements.
bool is_wide(const Spec& spec);

/// The first rule that a Spec breaks, in words, or an empty string: operands that exist and have the right types, inner
/// values without a name used once, nothing unused. parse_spec gives only Specs that break none.
std::string broken_rule(const Spec& spec);

/// Does a call say how far apart the rows, or numbers, of such a tensor are?
constexpr bool has_stride(Extent extent) { return extent == Extent::row || extent == Extent::token; }

/// Elements of one row of a tensor: N, or 1 for one number.
constexpr std::int64_t row_elements(const Spec& spec, Extent extent) {
  return extent == Extent::row || extent == Extent::column ? spec.n : 1;
}

/// The number of rows in groups and columns that have several: the same in all of them, 1 when there are none.
int groups(const Spec& spec);
/// `rows`, and what lacks to whole groups.
inline std::int64_t in_whole_groups(const Spec& spec, std::int64_t rows) {
  return (rows + groups(spec) - 1) / groups(spec) * groups(spec);
}

/// Rows that an input of a call over `tokens` tokens holds, and the one of them that token `token` uses.
constexpr std::int64_t rows_held(const Tensor& tensor, std::int64_t tokens) {
  return tensor.extent == Extent::column ? tensor.groups : tensor.extent == Extent::scalar ? 1 : tokens;
}
constexpr std::int64_t row_used(const Tensor& tensor, std::int64_t token) {
  return tensor.extent == Extent::column ? token % tensor.groups : tensor.extent == Extent::scalar ? 0 : token;
}

/// First element of what token `token` uses of a Tensor or Output, whose rows (or groups of them) are `stride` elements apart.
template <class TensorOrOutput>
constexpr std::int64_t row_offset(const Spec& spec, const TensorOrOutput& tensor, std::int64_t stride, std::int64_t token) {
  switch (tensor.extent) {
    case Extent::row: return token / tensor.groups * stride + token % tensor.groups * spec.n;
    case Extent::column: return token % tensor.groups * spec.n;
    case Extent::token: return token * stride;
    case Extent::scalar: break;
  }
  return 0;
}

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

/// The same question with the results of its reductions as further outputs, as many as max_tensors leaves room for. What is
/// rounded to 16 bits hides most differences between two reduction trees; these show them. Rows without elements have no tree.
Spec with_reductions_shown(const Spec& spec);

/// For each node: does `root` need it (root included)?
std::vector<bool> needed_by(const Spec& spec, int root);

/// Inputs of which single elements are read, in order.
std::vector<int> gathered_inputs(const Spec& spec);

/// Operands of a node.
int operand_count(const Node& node);

}  // namespace isofold
