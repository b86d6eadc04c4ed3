#pragma once
#include <isofold/codegen/spec.hpp>
#include <isofold/export.hpp>

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace isofold {
struct SpecGraph;  // what a SpecBuilder has collected; not exported
}  // namespace isofold

namespace ISOFOLD_API isofold {

/// The C++ integers that count as numbers: no truth values, no characters.
template <class T>
concept WholeNumber =
    std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> && !std::same_as<T, wchar_t> &&
    !std::same_as<T, char8_t> && !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

/// A value of a Spec that a SpecBuilder makes, or a literal on the way into an operation. A cheap handle:
/// copies are the same value. Operators and functions make further values; they mean what the operation of
/// that name means in a Spec's text (docs/adding-an-operator.md), and are found through their arguments,
/// without a namespace before them. Where a variable hides such a name, SpecBuilder::call reaches it.
///
/// Literals: a float or double is the number that it would be in a text, the nearest of binary32 (binary64 in
/// Specs of f64). A C++ integer is a float or an integer, as the operation's other operands ask for; where
/// both would do, UsageError. NaN is no literal.
///
/// All throw UsageError, with what was passed and what is allowed, for operands of types that the operation
/// does not take, of two builders, or of a builder that is gone. Not thread-safe: a builder and its values
/// belong to one thread at a time.
class Value {
 public:
  Value(float number) : Value(static_cast<double>(number)) {}
  Value(double number) : Value(Literal(number)) {}
  template <WholeNumber T>
  Value(T number)
      : Value(Literal(in_range(std::in_range<std::int64_t>(number), static_cast<std::int64_t>(number)))) {}
  Value(const Value&) = default;  // and no move: a value that was moved from would be none
  Value& operator=(const Value&) = default;

  /// The same value, which has this name from now on: a statement `name = ...` of the Spec's text. Each value
  /// is named once, tensors have names already.
  Value named(std::string_view name) const;

  friend Value operator+(const Value& a, const Value& b) { return apply("add", {a, b}); }
  friend Value operator-(const Value& a, const Value& b) { return apply("sub", {a, b}); }
  friend Value operator*(const Value& a, const Value& b) { return apply("mul", {a, b}); }
  friend Value operator/(const Value& a, const Value& b) { return apply("div", {a, b}); }
  friend Value operator-(const Value& a) { return apply("neg", {a}); }
  Value& operator+=(const Value& b) { return *this = *this + b; }
  Value& operator-=(const Value& b) { return *this = *this - b; }
  Value& operator*=(const Value& b) { return *this = *this * b; }
  Value& operator/=(const Value& b) { return *this = *this / b; }
  friend Value fma(const Value& a, const Value& b, const Value& c) { return apply("fma", {a, b, c}); }
  friend Value sqrt(const Value& a) { return apply("sqrt", {a}); }
  friend Value abs(const Value& a) { return apply("abs", {a}); }
  friend Value max(const Value& a, const Value& b) { return apply("max", {a, b}); }
  friend Value min(const Value& a, const Value& b) { return apply("min", {a, b}); }

  // Truth values. There is no ==: that is `equal`.
  friend Value operator<(const Value& a, const Value& b) { return apply("less", {a, b}); }
  friend Value operator>(const Value& a, const Value& b) { return apply("less", {b, a}); }
  friend Value operator<=(const Value& a, const Value& b) { return apply("less_equal", {a, b}); }
  friend Value operator>=(const Value& a, const Value& b) { return apply("less_equal", {b, a}); }
  friend Value less(const Value& a, const Value& b) { return apply("less", {a, b}); }
  friend Value less_equal(const Value& a, const Value& b) { return apply("less_equal", {a, b}); }
  friend Value equal(const Value& a, const Value& b) { return apply("equal", {a, b}); }
  friend Value where(const Value& condition, const Value& a, const Value& b) {
    return apply("where", {condition, a, b});
  }

  // `and` and `or` of the text: of two truth values, or of two integers bit by bit.
  friend Value operator&(const Value& a, const Value& b) { return apply("and", {a, b}); }
  friend Value operator|(const Value& a, const Value& b) { return apply("or", {a, b}); }

  friend Value shift_left(const Value& a, const Value& literal) { return apply("shift_left", {a, literal}); }
  friend Value shift_right(const Value& a, const Value& literal) {
    return apply("shift_right", {a, literal});
  }
  friend Value bits(const Value& a) { return apply("bits", {a}); }
  friend Value from_bits(const Value& a) { return apply("from_bits", {a}); }
  friend Value from_int(const Value& a) { return apply("from_int", {a}); }
  /// `bf16(a)`, `f16(a)` of the text.
  friend Value round_to(DType dtype, const Value& a) { return apply(name_of(dtype), {a}); }
  /// The element of a row input at an integer place that is the same along the row.
  friend Value at(const Value& tensor, const Value& place) { return apply("at", {tensor, place}); }

  friend Value sum(const Value& a) { return apply("sum", {a}); }
  friend Value reduce_max(const Value& a) { return apply("reduce_max", {a}); }
  friend Value reduce_min(const Value& a) { return apply("reduce_min", {a}); }

  friend Value exp(const Value& a) { return apply("exp", {a}); }
  friend Value exp_nonpositive(const Value& a) { return apply("exp_nonpositive", {a}); }
  friend Value log(const Value& a) { return apply("log", {a}); }
  friend Value rsqrt(const Value& a) { return apply("rsqrt", {a}); }
  friend Value sigmoid(const Value& a) { return apply("sigmoid", {a}); }
  friend Value silu(const Value& a) { return apply("silu", {a}); }
  friend Value tanh(const Value& a) { return apply("tanh", {a}); }
  friend Value erf(const Value& a) { return apply("erf", {a}); }
  friend Value gelu(const Value& a) { return apply("gelu", {a}); }
  friend Value gelu_tanh(const Value& a) { return apply("gelu_tanh", {a}); }

 private:
  friend class SpecBuilder;
  friend struct SpecGraph;
  using Literal = std::variant<double, std::int64_t>;

  explicit Value(Literal literal);
  Value(std::shared_ptr<SpecGraph> graph, int node) : graph_(std::move(graph)), node_(node) {}
  static std::int64_t in_range(bool fits, std::int64_t number);
  static Value apply(std::string_view operation, std::initializer_list<Value> operands);

  std::shared_ptr<SpecGraph> graph_;  // null: a literal
  int node_ = -1;
  Literal literal_;
};

/// Makes a Spec from C++ expressions:
///
///   SpecBuilder b("scaled_rms", 4096);
///   const Value x = b.row("x", DType::bf16), weight = b.column("weight", DType::bf16);
///   const Value total = sum(x * x).named("total");
///   b.output("y", DType::bf16, x * (1 / sqrt(total / b.n() + 1e-6f)) * weight);
///   const Spec spec = b.build();
///
/// It writes the Spec's text and has it parsed: the Spec is the one that parse_spec makes of that text, with
/// the same checks and the same bits id. What has a name (tensors, `named` values, outputs) stands there in
/// the order in which it was named; give names in statements of their own, because C++ leaves open which
/// operand of an expression is computed first. Everything else is written where it is needed first. A value
/// without a name that is used twice, or that would be nested too deep, is called after its operation, as in
/// mul_1. What has a name must be used; other values that no output needs are left out.
///
/// Throws UsageError as Value's operations do, and after it was moved from. Names are checked at once for
/// their form, and by `build` for the rest. Values outlive the builder, but nothing can be made of them then.
class SpecBuilder {
 public:
  /// An operator of this name over rows of n elements.
  SpecBuilder(std::string_view name, std::int64_t n);
  SpecBuilder(SpecBuilder&&) noexcept = default;  // its values then belong to the new one
  SpecBuilder& operator=(SpecBuilder&&) = delete;
  ~SpecBuilder();

  /// Inputs, in the order of a launch: [tokens, N], with groups [tokens / groups, groups, N]; [N] for all
  /// tokens, with groups [groups, N], of which token t uses row t mod groups; [tokens], one number per token;
  /// one number.
  Value row(std::string_view name, DType dtype, int groups = 1);
  Value column(std::string_view name, DType dtype, int groups = 1);
  Value token(std::string_view name, DType dtype);
  Value scalar(std::string_view name, DType dtype);
  Value input(const Tensor& tensor);

  /// The row length as a float.
  Value n();
  /// The element's place in its row, an integer from 0.
  Value index();
  /// Literals as values, which can be named and stand beside other literals. `constant` makes a float of a
  /// literal.
  Value integer(std::int32_t number);
  Value constant(const Value& literal);

  /// Any operation, function or rounding by its name in the text: call("silu", {x}), call("and", {c, d}),
  /// call("bf16", {x}).
  Value call(std::string_view operation, const std::vector<Value>& operands);

  /// A stored result: [tokens] when `value` is the same along the row, else [tokens, N], with groups
  /// [tokens / groups, groups, N].
  void output(std::string_view name, DType dtype, const Value& value, int groups = 1);

  /// The text that `build` parses.
  std::string text() const;
  /// The Spec. The builder stays as it is, and can be added to. Throws UsageError for what parse_spec
  /// refuses.
  Spec build() const;

 private:
  SpecGraph& graph() const;
  Value append(Node node, Type type);

  std::shared_ptr<SpecGraph> graph_;
};

}  // namespace isofold
