#include <isofold/codegen/functions.hpp>
#include <isofold/codegen/operators.hpp>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/codegen/spec_builder.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <bit>
#include <concepts>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "op_table.hpp"
#include "support/built_spec.hpp"
#include "support/call.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"
#include "support/random_plan.hpp"

using namespace isofold;
using namespace isofold::testing;

namespace {

static_assert(!std::equality_comparable<Value>, "comparing values would look like comparing handles");
static_assert(!std::convertible_to<bool, Value> && !std::convertible_to<char, Value>);

constexpr float infinity = std::numeric_limits<float>::infinity();

/// A Spec put together again, value by value, with its names or without.
Spec rebuilt(const Spec& spec, bool with_names) {
  SpecBuilder b(spec.op, spec.n);
  std::vector<Value> tensors, values;
  for (const Tensor& tensor : spec.inputs) tensors.push_back(b.input(tensor));
  const auto value = [&](int node) { return values.at(static_cast<std::size_t>(node)); };
  const auto made = [&](const Node& node) {
    switch (node.op) {
      case Op::input:
        return tensors.at(static_cast<std::size_t>(node.tensor));
      case Op::constant:
        return b.constant(node.value);
      case Op::integer:
        return b.integer(node.integer);
      case Op::index:
        return b.index();
      case Op::element:
        return at(tensors.at(static_cast<std::size_t>(node.tensor)), value(node.a));
      case Op::round:
        return round_to(node.dtype, value(node.a));
      default:
        break;
    }
    std::vector<Value> operands;
    for (const int operand : {node.a, node.b, node.c})
      if (operand >= 0) operands.push_back(value(operand));
    const std::string name = node.op == Op::call ? functions()[static_cast<std::size_t>(node.function)].name
                                                 : std::string(op_info(node.op).name);
    return b.call(name, operands);
  };
  for (const Node& node : spec.nodes) {
    values.push_back(made(node));
    if (with_names && !node.name.empty() && node.op != Op::input) values.back().named(node.name);
  }
  for (const Output& output : spec.outputs)
    b.output(output.name, output.dtype, value(output.value), output.groups);
  return b.build();
}

std::string text_of(const std::string& expression) {
  return fmt::format(
      "one N=8 (x: f32[row], y: f32[row], number: i32[token]) {{ out: f32 = {}; used: f32 = fma(sum(x), y, "
      "from_int(number)) }}",
      expression);
}

}  // namespace

TEST_CASE("norms from C++ are those of their texts") {
  SpecBuilder b("rms_norm", 4096);
  const Value x = b.row("x", DType::bf16), weight = b.column("weight", DType::bf16);
  const Value total = sum(x * x).named("total");
  const Value r = (1 / sqrt(total / b.n() + 1e-6f)).named("r");
  b.output("y", DType::bf16, x * r * weight);
  CHECK(b.build() == rms_norm({.n = 4096, .dtype = DType::bf16}));
  CHECK(b.build() ==
        parse_spec("rms_norm N=4096 (x: bf16[row], weight: bf16[column]) { total = sum(mul(x, x)); "
                   "r = div(1, sqrt(add(div(total, N), 1e-06))); y: bf16 = mul(mul(x, r), weight) }"));

  SpecBuilder c("add_layer_norm", 96);
  const Value in = c.row("x", DType::f16), residual = c.row("residual", DType::f32);
  const Value w = c.column("weight", DType::f16), bias = c.column("bias", DType::f16);
  const Value h = (in + residual).named("h");
  const Value sum_of_h = sum(h).named("total");
  const Value centre = (-1 * (sum_of_h / c.n())).named("centre");
  const Value d = (h + centre).named("d");
  const Value squares = sum(d * d).named("squares");
  const Value inverse = (1 / sqrt(squares / c.n() + 1e-5)).named("r");
  c.output("y", DType::f16, fma(d * inverse, w, bias));
  c.output("residual_out", DType::f32, h);
  CHECK(text(c.build()) ==
        "add_layer_norm N=96 (x: f16[row], residual: f32[row], weight: f16[column], bias: f16[column]) { h = "
        "add(x, residual); "
        "total = sum(h); centre = mul(-1, div(total, 96)); d = add(h, centre); squares = sum(mul(d, d)); "
        "r = div(1, sqrt(add(div(squares, 96), 1e-05))); y: f16 = fma(mul(d, r), weight, bias); "
        "residual_out: f32 = h }");
}

TEST_CASE("softmax, cross entropy and quantised results from C++ are those of their texts") {
  SpecBuilder b("masked_softmax", 1000);
  const Value x = b.row("x", DType::bf16), length = b.token("length", DType::i32);
  const Value z = where(b.index() < length, x, -infinity).named("z");
  const Value largest = reduce_max(z).named("largest");
  const Value power = exp_nonpositive(z - largest).named("power");
  const Value inverse = (1 / sum(power)).named("inverse");
  b.output("y", DType::f32, power * inverse);
  b.output("peak", DType::f32, largest);
  CHECK(
      b.build() ==
      parse_spec(
          "masked_softmax N=1000 (x: bf16[row], length: i32[token]) { z = where(less(index, length), x, "
          "-inf); "
          "largest = reduce_max(z); power = exp_nonpositive(sub(z, largest)); inverse = div(1, sum(power)); "
          "y: f32 = mul(power, inverse); peak: f32 = largest }"));
  CHECK(b.build().outputs[1].extent == Extent::token);

  SpecBuilder c("loss", 500);
  const Value logits = c.row("x", DType::f32), target = c.token("target", DType::i32);
  const Value top = reduce_max(logits).named("largest");
  const Value picked = sum(where(equal(c.index(), target), logits, 0)).named("picked");
  const Value shift = where(equal(top, -infinity), 0, top).named("shift");
  const Value total = sum(exp(logits - shift)).named("total");
  const Value log_total = where(equal(top, infinity), infinity, log(total) + shift).named("log_total");
  const Value outside = c.constant(0) / 0;
  c.output("loss", DType::f32, where(target < 0, 0, where(target < 500, log_total - picked, outside)));
  c.output("logsumexp", DType::f32, log_total);
  CHECK(
      c.build() ==
      parse_spec(
          "loss N=500 (x: f32[row], target: i32[token]) { largest = reduce_max(x); "
          "picked = sum(where(equal(index, target), x, 0)); shift = where(equal(largest, -inf), 0, largest); "
          "total = sum(exp(sub(x, shift))); log_total = where(equal(largest, inf), inf, add(log(total), "
          "shift)); "
          "loss: f32 = where(less(target, 0i), 0, where(less(target, 500i), sub(log_total, picked), div(0, "
          "0))); "
          "logsumexp: f32 = log_total }"));

  SpecBuilder q("silu_and_mul_quant", 256);
  const Value gate = q.row("gate", DType::bf16), up = q.row("up", DType::bf16);
  const Value gated = (silu(gate) * up).named("gated");
  const Value scale = max(reduce_max(abs(gated)) / 448, 1e-12f).named("row_scale");
  q.output("y", DType::e4m3, gated * (1 / scale));
  q.output("scale", DType::f32, scale);
  CHECK(q.build() ==
        parse_spec("silu_and_mul_quant N=256 (gate: bf16[row], up: bf16[row]) { gated = mul(silu(gate), up); "
                   "row_scale = max(div(reduce_max(abs(gated)), 448), 1e-12); y: e4m3 = mul(gated, div(1, "
                   "row_scale)); "
                   "scale: f32 = row_scale }"));
}

TEST_CASE("every operation has a name in C++ that means what the text's means") {
  const std::vector<std::pair<std::string, Make>> all{
      {"add(x, y)", [](auto&, Value x, Value y, Value) { return x + y; }},
      {"sub(x, y)", [](auto&, Value x, Value y, Value) { return x - y; }},
      {"mul(x, y)", [](auto&, Value x, Value y, Value) { return x * y; }},
      {"div(x, y)", [](auto&, Value x, Value y, Value) { return x / y; }},
      {"neg(x)", [](auto&, Value x, Value, Value) { return -x; }},
      {"add(x, y)", [](auto&, Value x, Value y, Value) { return x += y; }},
      {"sub(x, y)", [](auto&, Value x, Value y, Value) { return x -= y; }},
      {"mul(x, 0.5)", [](auto&, Value x, Value, Value) { return x *= 0.5f; }},
      {"div(x, 3)", [](auto&, Value x, Value, Value) { return x /= 3; }},
      {"fma(x, y, 2)", [](auto&, Value x, Value y, Value) { return fma(x, y, 2); }},
      {"sqrt(x)", [](auto&, Value x, Value, Value) { return sqrt(x); }},
      {"abs(x)", [](auto&, Value x, Value, Value) { return abs(x); }},
      {"max(x, 0)", [](auto&, Value x, Value, Value) { return max(x, 0); }},
      {"min(-1, y)", [](auto&, Value, Value y, Value) { return min(-1, y); }},
      {"where(less(x, y), x, y)", [](auto&, Value x, Value y, Value) { return where(x < y, x, y); }},
      {"where(less(y, x), x, y)", [](auto&, Value x, Value y, Value) { return where(x > y, x, y); }},
      {"where(less_equal(x, y), x, y)", [](auto&, Value x, Value y, Value) { return where(x <= y, x, y); }},
      {"where(less_equal(y, x), x, y)", [](auto&, Value x, Value y, Value) { return where(x >= y, x, y); }},
      {"where(less(number, 3i), x, y)",
       [](auto&, Value x, Value y, Value number) { return where(less(number, 3), x, y); }},
      {"where(less_equal(x, 3), x, y)",
       [](auto&, Value x, Value y, Value) { return where(less_equal(x, 3), x, y); }},
      {"where(equal(index, number), x, y)",
       [](auto& b, Value x, Value y, Value number) { return where(equal(b.index(), number), x, y); }},
      {"where(and(less(x, y), less(number, 1i)), x, y)",
       [](auto&, Value x, Value y, Value number) { return where((x < y) & (number < 1), x, y); }},
      {"where(or(less(x, y), less(number, 1i)), x, y)",
       [](auto&, Value x, Value y, Value number) { return where((x < y) | (number < 1), x, y); }},
      {"from_bits(and(bits(x), -8388608i))",
       [](auto&, Value x, Value, Value) { return from_bits(bits(x) & -8388608); }},
      {"from_bits(or(bits(x), -2147483648i))",
       [](auto&, Value x, Value, Value) {
         return from_bits(bits(x) | std::numeric_limits<std::int32_t>::min());
       }},
      {"from_bits(shift_left(bits(x), 9i))",
       [](auto&, Value x, Value, Value) { return from_bits(shift_left(bits(x), 9)); }},
      {"from_bits(shift_right(bits(x), 31i))",
       [](auto&, Value x, Value, Value) { return from_bits(shift_right(bits(x), 31)); }},
      {"from_int(add(mul(index, number), sub(number, 12i)))",
       [](auto& b, Value, Value, Value number) {
         return from_int(b.index() * number + (number - b.integer(12)));
       }},
      {"from_int(where(less(x, y), number, 0i))",
       [](auto&, Value x, Value y, Value number) { return from_int(where(x < y, number, 0)); }},
      {"bf16(x)", [](auto&, Value x, Value, Value) { return round_to(DType::bf16, x); }},
      {"f16(x)", [](auto&, Value x, Value, Value) { return round_to(DType::f16, x); }},
      {"f32(x)", [](auto&, Value x, Value, Value) { return round_to(DType::f32, x); }},
      {"at(x, number)", [](auto&, Value x, Value, Value number) { return at(x, number); }},
      {"at(x, 7i)", [](auto&, Value x, Value, Value) { return at(x, 7); }},
      {"sum(x)", [](auto&, Value x, Value, Value) { return sum(x); }},
      {"reduce_max(x)", [](auto&, Value x, Value, Value) { return reduce_max(x); }},
      {"reduce_min(x)", [](auto&, Value x, Value, Value) { return reduce_min(x); }},
      {"exp(x)", [](auto&, Value x, Value, Value) { return exp(x); }},
      {"exp_nonpositive(x)", [](auto&, Value x, Value, Value) { return exp_nonpositive(x); }},
      {"log(x)", [](auto&, Value x, Value, Value) { return log(x); }},
      {"rsqrt(x)", [](auto&, Value x, Value, Value) { return rsqrt(x); }},
      {"sigmoid(x)", [](auto&, Value x, Value, Value) { return sigmoid(x); }},
      {"silu(x)", [](auto&, Value x, Value, Value) { return silu(x); }},
      {"tanh(x)", [](auto&, Value x, Value, Value) { return tanh(x); }},
      {"erf(x)", [](auto&, Value x, Value, Value) { return erf(x); }},
      {"gelu(x)", [](auto&, Value x, Value, Value) { return gelu(x); }},
      {"gelu_tanh(x)", [](auto&, Value x, Value, Value) { return gelu_tanh(x); }},
      {"div(x, N)", [](auto& b, Value x, Value, Value) { return x / b.n(); }},
      {"add(x, div(0, 0))", [](auto& b, Value x, Value, Value) { return x + b.constant(0) / 0; }},
      {"where(less(0.5, 1), x, y)",
       [](auto& b, Value x, Value y, Value) { return where(b.constant(0.5) < 1, x, y); }},
  };
  std::string written;
  for (const auto& one : all) {
    const auto& expression = one.first;
    CAPTURE(expression);
    CHECK(spec_of(one.second) == parse_spec(text_of(expression)));
    written += " " + expression;
  }
  for (const OpInfo& info : op_table) {
    CAPTURE(info.name);
    CHECK(written.find(fmt::format("{}(", info.name)) != std::string::npos);
  }
  for (const Function& function : functions()) {
    CAPTURE(function.name);
    CHECK(written.find(" " + function.name + "(") != std::string::npos);
  }
}

TEST_CASE("any Spec can be made by a builder; its names can be left to the builder") {
  for (const NamedOperator& named : named_operators()) {
    CAPTURE(named.name);
    const Spec spec = named.make(96, DType::bf16);
    CHECK(rebuilt(spec, true) == spec);
    CHECK(text(parse_spec(text(rebuilt(spec, false)))) == text(rebuilt(spec, false)));
  }
  Random random(3);
  const auto choose = [&](std::uint64_t below) { return random.below(below); };
  for (int round = 0; round < 1000; ++round) {
    const Spec spec = parse_spec(random_spec_text(choose, 60));
    CAPTURE(text(spec));
    CHECK(rebuilt(spec, true) == spec);
    const Spec unnamed = rebuilt(spec, false);
    CAPTURE(text(unnamed));
    CHECK(parse_spec(text(unnamed)) == unnamed);
    // Names are no part of what is computed.
    const Fold fold = random_fold(choose, 16);
    const CallOptions options{.tokens = 9, .seed = random.bits()};
    const Call call(spec, fold, options), same(unnamed, fold, options);
    for (std::size_t i = 0; i < spec.outputs.size(); ++i)
      REQUIRE(difference(call.expected()[i], same.expected()[i]) == "");
  }
}

TEST_CASE("literals keep every bit, and are of the type that the operation asks for") {
  const auto constant_of = [](const Value& literal) {
    const Spec spec = spec_of([&](auto&, Value x, Value, Value) { return x * literal; });
    for (const Node& node : spec.nodes)
      if (node.op == Op::constant) return static_cast<float>(node.value);
    return 0.0f;
  };
  const auto same = [](float a, float b) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
  };
  Random random(7);
  std::vector<float> numbers{0.0f,           -0.0f,    1e-45f,    1.17549435e-38f,
                             3.40282347e38f, infinity, -infinity, 16777217.0f};
  for (int i = 0; i < 1000; ++i)
    numbers.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random.bits())));
  for (const float number : numbers) {
    CAPTURE(number);
    if (number == number) CHECK(same(constant_of(number), number));
  }
  CHECK(same(constant_of(0.1), 0.1f));
  CHECK(same(constant_of(1e-6), 1e-6f));
  CHECK(same(constant_of(-static_cast<double>(infinity)), -infinity));
  CHECK(same(constant_of(1), 1.0f));
  CHECK(same(constant_of(std::int64_t{1} << 40), 0x1p40f));
  CHECK(same(constant_of(std::size_t{16777217}), 16777216.0f));  // rounded, as in a text
}

TEST_CASE("what is used twice or nested too deep gets a name that is free") {
  SpecBuilder b("shared", 8);
  const Value x = b.row("x", DType::f32), taken = b.column("mul_1", DType::f32);
  const Value square = x * x, total = sum(square), length = b.n();
  const Value smaller = (x < total);
  b.output("sum_1", DType::f32, square * total + taken / length);
  b.output("y", DType::f32, where(smaller, square, length));
  b.output("z", DType::f32, where(smaller, x, 0));
  CHECK(b.text() ==
        "shared N=8 (x: f32[row], mul_1: f32[column]) { mul_2 = mul(x, x); sum_2 = sum(mul_2); less_1 = "
        "less(x, sum_2); "
        "sum_1: f32 = add(mul(mul_2, sum_2), div(mul_1, 8)); y: f32 = where(less_1, mul_2, 8); z: f32 = "
        "where(less_1, x, 0) }");
  CHECK(text(b.build()) == b.text());

  SpecBuilder deep("deep", 8);
  const Value first = deep.row("x", DType::f32);
  Value value = sum(first);
  for (int i = 0; i < 300; ++i) value = first + value;
  deep.output("y", DType::f32, value);
  const Spec spec = deep.build();
  CHECK(parse_spec(text(spec)) == spec);
  CHECK(text(spec).find("add_4 = add(x, add(x") != std::string::npos);
  CHECK(text(spec).find("add_5 =") == std::string::npos);
  for (int i = 0; i < 100000; ++i) value = first + value;
  deep.output("too_long", DType::f32, value);
  CHECK(contains(usage_error([&] { deep.build(); }), "at most 8192 characters"));
}

TEST_CASE("the text does not depend on what the compiler computes first") {
  const auto bump = [](const Value& v) {
    const Value e = exp(v);
    return e * e;
  };
  const auto text_with = [&](int order) {
    SpecBuilder b("bumps", 8);
    const Value x = b.row("x", DType::f32), y = b.row("y", DType::f32);
    std::optional<Value> of_x, of_y;
    if (order == 0) of_x = bump(x);
    of_y = bump(y);
    if (order == 1) of_x = bump(x);
    b.output("z", DType::f32, sum(*of_x) + *of_y);
    return b.text();
  };
  CHECK(text_with(0) == text_with(1));
  CHECK(text_with(0).find("{ exp_1 = exp(x); exp_2 = exp(y); z") != std::string::npos);
  // With names, the order is the one in which they were given, as far as what is needed first allows.
  SpecBuilder b("named", 8);
  const Value x = b.row("x", DType::f32);
  const Value low = reduce_min(x), high = reduce_max(x);
  const Value range = high - low;
  (1 / range).named("scale");
  high.named("high");
  b.output("y", DType::f32, x + low);
  CHECK(b.text() ==
        "named N=8 (x: f32[row]) { high = reduce_max(x); reduce_min_1 = reduce_min(x); scale = div(1, "
        "sub(high, reduce_min_1)); "
        "y: f32 = add(x, reduce_min_1) }");
}

TEST_CASE("what nothing needs is left out, unless it has a name") {
  SpecBuilder b("used", 8);
  const Value x = b.row("x", DType::f32);
  const Value total = sum(x);
  exp(total) + 1;
  b.output("y", DType::f32, x + total);
  CHECK(b.text() == "used N=8 (x: f32[row]) { y: f32 = add(x, sum(x)) }");
  b.output("z", DType::f32, x * total);  // the builder goes on after a build
  CHECK(b.text() ==
        "used N=8 (x: f32[row]) { sum_1 = sum(x); y: f32 = add(x, sum_1); z: f32 = mul(x, sum_1) }");
  CHECK(parse_spec(b.text()) == b.build());
  (total * 2).named("doubled");
  CHECK(contains(usage_error([&] { b.build(); }), "'doubled' is computed and not used"));
  SpecBuilder c("unread", 8);
  const Value y = c.row("y", DType::f32);
  c.row("other", DType::f32);
  c.output("z", DType::f32, y + sum(y));
  CHECK(contains(usage_error([&] { c.build(); }), "input 'other' is not used"));
}

TEST_CASE("Specs of f64 have literals of binary64") {
  SpecBuilder b("wide", 16777217);
  const Value tenth = b.constant(0.1),
              number = b.constant(0.1f);  // before anything says that the Spec is of f64
  b.output("y", DType::f64, sum(b.row("x", DType::f64) * 1e300) / b.n() + tenth + number);
  const Spec spec = b.build();
  CHECK(text(spec) ==
        "wide N=16777217 (x: f64[row]) { y: f64 = add(add(div(sum(mul(x, 1e+300)), 16777217), 0.1), "
        "0.10000000149011612) }");
  CHECK(parse_spec(text(spec)) == spec);
}

TEST_CASE("rows in groups, columns of several rows and numbers for all tokens") {
  SpecBuilder b("heads", 64);
  const Value x = b.row("x", DType::bf16, 32), weight = b.column("weight", DType::f32, 32);
  const Value offset = b.scalar("offset", DType::f32);
  b.output("y", DType::bf16, x * (weight + offset) / sum(x), 32);
  CHECK(b.build() == parse_spec("heads N=64 (x: bf16[row 32], weight: f32[column 32], offset: f32[scalar]) { "
                                "y: bf16[row 32] = div(mul(x, add(weight, offset)), sum(x)) }"));
  SpecBuilder c("heads", 64);
  c.output("y", DType::bf16, c.row("x", DType::bf16) * c.column("weight", DType::f32, 0));
  CHECK(contains(usage_error([&] { c.build(); }), "is 0, allowed is"));
}
