// What a SpecBuilder refuses, and where.
#include <isofold/codegen/spec_builder.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/built_spec.hpp"
#include "support/error_text.hpp"

using namespace isofold;
using namespace isofold::testing;

namespace {

/// Has the message all these parts?
bool says(const std::string& message, const std::vector<std::string>& parts) {
  CAPTURE(message);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(message.find(part) != std::string::npos);
  }
  return !message.empty();
}

}  // namespace

TEST_CASE("literals that are no numbers, or no numbers that fit") {
  CHECK(says(usage_error([] { const Value literal = std::numeric_limits<float>::quiet_NaN(); }), {"NaN is no literal"}));
  CHECK(says(usage_error([] { const Value literal = std::numeric_limits<double>::quiet_NaN(); }), {"NaN is no literal"}));
  CHECK(says(usage_error([] { const Value literal = std::numeric_limits<std::uint64_t>::max(); }), {"no literal"}));
  CHECK(says(usage_error([] { spec_of([](auto&, Value x, Value, Value) { return x * 1e300; }); }), {"1e+300 is no binary32 number"}));
  CHECK(says(usage_error([] { spec_of([](auto&, Value x, Value, Value) { return x * -1e-60; }); }), {"-1e-60 is no binary32 number"}));
  CHECK(says(usage_error([] {
               spec_of([](auto& b, Value x, Value y, Value) { return where(b.index() < 2147483648, x, y); });
             }),
             {"less takes an integer here", "2147483648 is none of 32 bits"}));
  CHECK(says(usage_error([] { spec_of([](auto&, Value x, Value y, Value) { return where(x < y, 1, 0); }); }),
             {"where takes (truth value, float, float) or (truth value, integer, integer)",
              "passed is (truth value less(...), whole number 1, whole number 0)",
              "1.0f or integer(1) says which"}));
  CHECK(says(usage_error([] { sqrt(Value(2)); }), {"sqrt of literals alone", "SpecBuilder::constant"}));
}

TEST_CASE("operands that an operation does not take are refused where they are passed") {
  SpecBuilder b("one", 8);
  const Value x = b.row("x", DType::f32), number = b.token("number", DType::i32);
  const Value total = sum(x).named("total");
  CHECK(says(usage_error([&] { x* number; }),
             {"mul takes (float, float) or (integer, integer)", "passed is (float 'x', integer 'number')"}));
  CHECK(says(usage_error([&] { x + (x < total); }), {"passed is (float 'x', truth value less(...))"}));
  CHECK(says(usage_error([&] { exp(number); }), {"exp takes (float), passed is (integer 'number')"}));
  CHECK(says(usage_error([&] { round_to(DType::bf16, b.index()); }),
             {"bf16 takes (float), passed is (integer index)"}));
  CHECK(says(usage_error([&] { from_int(b.constant(0.5f)); }), {"passed is (float 0.5)"}));
  CHECK(says(usage_error([&] { b.index() + 0.5f; }), {"passed is (integer index, float 0.5)"}));
  CHECK(says(usage_error([&] { where(x, x, x); }), {"where takes (truth value, float, float)"}));
  CHECK(says(usage_error([&] { at(total, number); }),
             {"at takes an input and a place in its row; 'total' is no input"}));
  CHECK(says(usage_error([&] { at(1.0f, number); }), {"1 is no input"}));
  CHECK(says(usage_error([&] { at(x, total); }), {"at of 'x' takes (integer), passed is (float 'total')"}));
  CHECK(says(usage_error([&] {
               b.call("pow", {x, x});
             }),
             {"no operation is called 'pow'", "add, sub", "gelu_tanh"}));
  CHECK(says(usage_error([&] { b.call("fma", {x, x}); }), {"fma takes 3 operands, passed are 2"}));
  CHECK(says(usage_error([&] { b.call("at", {x}); }), {"at takes 2 operands, passed are 1"}));
  CHECK(says(usage_error([&] { b.call("sqrt", {}); }), {"sqrt takes 1 operands, passed are 0"}));
  CHECK(says(usage_error([&] { b.constant(x); }), {"constant takes a literal, 'x' is a value already"}));
  CHECK(says(usage_error([&] { b.output("y", DType::f32, 1.5f); }),
             {"output 'y' is the literal 1.5, allowed is a value"}));
  // The rest is the parser's, which knows the names.
  b.output("y", DType::f32, b.index());
  CHECK(says(usage_error([&] { b.build(); }), {"SpecBuilder of 'one'", "output 'y' is not a float"}));
  const auto refused = [](const Make& make) { return usage_error([&] { spec_of(make); }); };
  CHECK(says(
      refused([](auto&, Value x, Value, Value number) { return from_bits(shift_left(bits(x), number)); }),
      {"shift_left is by an integer literal from 0i to 31i"}));
  CHECK(says(refused([](auto&, Value x, Value, Value) { return round_to(DType::i8, x); }),
             {"values are not rounded to i8"}));
  CHECK(says(refused([](auto&, Value x, Value, Value) { return x * sum(sum(x)); }),
             {"sum needs a value of the row, other in every token and along the row"}));
  CHECK(says(refused([](auto& b, Value, Value, Value) { return b.constant(1) + 2; }),
             {"output 'out' is the same for all tokens"}));
  CHECK(says(usage_error([] { SpecBuilder("nothing", 8).build(); }), {"'nothing' has no input"}));
  CHECK(says(usage_error([] {
               SpecBuilder none("none", 8);
               none.row("x", DType::f32);
               none.build();
             }),
             {"'none' has no output"}));
  for (const std::int64_t n : {std::int64_t{-1}, max_row_length + 1}) {
    SpecBuilder c("length", n);
    const Value y = c.row("y", DType::f32);
    c.output("z", DType::f32, y / sum(y));
    CHECK(says(usage_error([&] { c.build(); }), {fmt::format("N is {}, allowed is", n)}));
  }
}

TEST_CASE("names are checked, and cannot bring text of their own") {
  const std::string lower_case = "allowed is a lower-case identifier of at most 32 characters";
  SpecBuilder b("names", 8);
  const Value x = b.row("x", DType::f32);
  for (const std::string& name :
       {std::string(), std::string("X"), std::string("1x"), std::string("a b"), std::string("a = x; b"),
        std::string("x\n"), std::string(33, 'a'), std::string("a\0b", 3)}) {
    CAPTURE(name);
    CHECK(says(usage_error([&] { SpecBuilder(name, 8); }), {"cannot be the operator's name", lower_case}));
    CHECK(says(usage_error([&] { b.row(name, DType::f32); }), {"cannot be a tensor's name", lower_case}));
    CHECK(says(usage_error([&] { sum(x).named(name); }), {"cannot be a value's name", lower_case}));
    CHECK(says(usage_error([&] { b.output(name, DType::f32, x); }),
               {"cannot be an output's name", lower_case}));
  }
  CHECK(says(usage_error([&] { x.named("y"); }), {"'x' has a name and takes no other, 'y'"}));
  CHECK(says(usage_error([&] { sum(x).named("a").named("b"); }), {"'a' has a name and takes no other, 'b'"}));
  CHECK(says(usage_error([&] { Value(2).named("two"); }), {"\"two\" would name a literal"}));
  const auto with_name = [](const std::string& name) {
    return usage_error(
        [&] { spec_of([&](auto&, Value x, Value, Value) { return x + sum(x * x).named(name); }); });
  };
  CHECK(with_name("total").empty());
  CHECK(says(with_name("exp"), {"SpecBuilder of 'one'", "'exp' is reserved and cannot be a value's name"}));
  CHECK(says(with_name("lane"), {"'lane' is reserved"}));
  CHECK(says(with_name("index"), {"'index' is reserved"}));
  CHECK(says(with_name("y"), {"'y' is defined twice"}));
  CHECK(says(with_name("used"), {"'used' is defined twice"}));
  // Literals can have names.
  CHECK(text(spec_of([](auto& b, Value x, Value, Value) {
          const Value two = b.constant(2).named("two");
          return x * two + two;
        })) ==
        "one N=8 (x: f32[row], y: f32[row], number: i32[token]) { two = 2; out: f32 = add(mul(x, two), two); "
        "used: f32 = fma(sum(x), y, from_int(number)) }");
}

TEST_CASE("values belong to one builder, as long as it is there") {
  SpecBuilder a("first", 8), b("second", 8);
  const Value x = a.row("x", DType::f32), y = b.row("y", DType::f32);
  CHECK(says(usage_error([&] { x + y; }),
             {"SpecBuilder of 'first': add: 'y' belongs to another builder, that of 'second'"}));
  CHECK(says(usage_error([&] { 2.0f * y + sum(x); }),
             {"SpecBuilder of 'second': add: sum(...) belongs to another builder, that of 'first'"}));
  CHECK(says(usage_error([&] { a.output("z", DType::f32, y); }),
             {"SpecBuilder of 'first': output 'z': 'y' belongs to another builder"}));
  CHECK(says(usage_error([&] { a.call("sqrt", {y}); }), {"'y' belongs to another builder"}));

  SpecBuilder moved(std::move(a));
  CHECK(says(usage_error([&] { a.row("w", DType::f32); }), {"moved from"}));
  CHECK(says(usage_error([&] { a.n(); }), {"moved from"}));
  CHECK(says(usage_error([&] { a.build(); }), {"moved from"}));
  moved.output("z", DType::f32, x - sum(x));
  CHECK(text(moved.build()) == "first N=8 (x: f32[row]) { z: f32 = sub(x, sum(x)) }");

  std::optional<Value> left;
  {
    SpecBuilder gone("gone", 8);
    left = gone.row("x", DType::f32);
  }
  CHECK(says(usage_error([&] { sqrt(*left); }),
             {"SpecBuilder of 'gone': sqrt: 'x' is of this builder, which is gone"}));
  CHECK(says(usage_error([&] { left->named("z"); }), {"which is gone"}));
  Value kept = x;
  kept = std::move(*left);  // moving copies: no value is ever none
  CHECK(says(usage_error([&] { *left + 1; }), {"which is gone"}));
}
