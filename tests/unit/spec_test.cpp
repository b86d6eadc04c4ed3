#include <doctest/doctest.h>

#include <isofold/codegen/operators.hpp>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/codegen/spec.hpp>
#include <isofold/error.hpp>

#include <limits>
#include <string>

using namespace isofold;

namespace {

const std::string sound =
    "rms_norm N=8 (x: bf16[row], weight: f32[column]) { total = sum(mul(x, x)); r = div(1, sqrt(add(div(total, N), 1e-06))); "
    "y: bf16 = mul(mul(x, r), weight) }";

/// The message with which `text` is refused; empty when it is taken.
std::string refusal(const std::string& text) {
  try {
    parse_spec(text);
  } catch (const UsageError& error) {
    return error.what();
  }
  return {};
}

std::string with(std::string text, const std::string& part, const std::string& replacement) {
  const auto at = text.find(part);
  REQUIRE(at != std::string::npos);
  return text.replace(at, part.size(), replacement);
}

}  // namespace

TEST_CASE("a spec's text parses back to the same spec") {
  const Spec spec = parse_spec(sound);
  CHECK(parse_spec(text(spec)) == spec);
  CHECK(text(parse_spec(text(spec))) == text(spec));
  CHECK(spec.n == 8);
  CHECK(spec.inputs.size() == 2);
  CHECK(spec.inputs[1].extent == Extent::column);
  CHECK(spec.outputs.size() == 1);
}

TEST_CASE("spacing does not matter, everything else does") {
  CHECK(parse_spec("rms_norm  N = 8(x:bf16[row],weight:f32[column]){total=sum(mul(x,x));r=div(1,sqrt(add(div(total,N),1e-06)));"
                   "y:bf16=mul(mul(x,r),weight)}") == parse_spec(sound));
  CHECK_FALSE(parse_spec(with(sound, "1e-06", "1e-05")) == parse_spec(sound));
  CHECK_FALSE(parse_spec(with(sound, "y: bf16", "y: f16")) == parse_spec(sound));
}

TEST_CASE("levels say what a value depends on") {
  const Spec spec = parse_spec(sound);
  const auto level = levels(spec);
  for (std::size_t i = 0; i < spec.nodes.size(); ++i) {
    CAPTURE(i);
    if (spec.nodes[i].name == "total" || spec.nodes[i].name == "r") CHECK(level[i] == Level::row);
    if (spec.nodes[i].name == "x") CHECK(level[i] == Level::element);
    if (spec.nodes[i].name == "weight") CHECK(level[i] == Level::column);
  }
  CHECK(level[static_cast<std::size_t>(spec.outputs[0].value)] == Level::element);
  const auto passes = passes_before(spec);
  CHECK(passes[static_cast<std::size_t>(reductions(spec).front())] == 1);
  CHECK(passes[static_cast<std::size_t>(spec.outputs[0].value)] == 1);
}

TEST_CASE("texts that are not specs are refused with the place and what is allowed") {
  CHECK(refusal(with(sound, "N=8", "N=-1")).find("allowed is 0 to 2147483647") != std::string::npos);
  CHECK(refusal(with(sound, "N=8", "N=99999999999999999999")).find("N is 99999999999999999999, allowed is 0 to 2147483647") != std::string::npos);
  CHECK(refusal(with(sound, "N=8", "N=x")).find("whole number") != std::string::npos);
  CHECK(refusal(with(sound, "x: bf16", "x: f8")).find("unknown dtype 'f8'") != std::string::npos);
  CHECK(refusal(with(sound, "mul(x, r)", "mul(x, q)")).find("'q' is not defined") != std::string::npos);
  CHECK(refusal(with(sound, "mul(x, r)", "pow(x, r)")).find("'pow' is not defined") != std::string::npos);
  CHECK(refusal(with(sound, "total =", "X =")).find("identifier") != std::string::npos);
  const std::string in_order = "is not defined (values must be defined before they are used)";
  CHECK(refusal("t N=8 (x: f32[row]) { first = mul(second, x); second = sum(x); y: f32 = add(first, second) }").find("'second' " + in_order) !=
        std::string::npos);
  CHECK(refusal("t N=8 (x: f32[row]) { a = add(b, x); b = add(a, x); y: f32 = a }").find("'b' " + in_order) != std::string::npos);
  CHECK(refusal("t N=8 (x: f32[row]) { a = add(a, x); y: f32 = a }").find("'a' " + in_order) != std::string::npos);
  CHECK(refusal("t N=8 (x: f32[row]) { y: f32 = add(y, x) }").find("'y' " + in_order) != std::string::npos);
  CHECK(refusal("t N=8 (x: f32[row]) { total = sum(x) }").find("a spec needs an output, `name: dtype = expression`") != std::string::npos);
  CHECK(refusal("t N=8 (x: f32[row]) { }").find("expected a value's name") != std::string::npos);
  CHECK(refusal(with(sound, "1e-06", "nan")).find("not defined") != std::string::npos);
  CHECK(refusal(with(sound, "1e-06", "1e999")).find("binary32 number") != std::string::npos);
  CHECK(refusal(with(sound, "r = div", "total = div")).find("defined twice") != std::string::npos);
  CHECK(refusal(with(sound, "weight)", "weight) junk")).size() > 0);
  CHECK(refusal(sound + " more").find("end of the text") != std::string::npos);
  CHECK(refusal("t N=8 (x: f32[row]) { first = sum(x); second = sum(mul(x, first)); third = sum(mul(x, second)); fourth = sum(mul(x, third)); y: f32 = sum(mul(x, fourth)) }")
            .find("at most 4 passes, these form 5") != std::string::npos);
  CHECK(refusal(with(sound, "mul(x, r)", "mul(x, 3000000000i)")).find("an integer is from -2147483648i to 2147483647i") != std::string::npos);
  CHECK(refusal(with(sound, "mul(mul(x, r), weight)", "add(weight, 1)")).find("is the same for all tokens") != std::string::npos);
  CHECK(refusal(with(sound, "mul(x, r)", "less(x, r)")).find("mul does not take these types") != std::string::npos);
  CHECK(refusal(with(sound, "mul(x, r)", "mul(x, index)")).find("float, integer") != std::string::npos);
  CHECK(refusal(with(sound, "mul(x, r)", "exp(index)")).find("exp takes floats") != std::string::npos);
  CHECK(refusal(with(sound, "mul(x, r)", "from_bits(shift_left(bits(x), bits(x)))")).find("integer literal") != std::string::npos);
  CHECK(refusal(with(sound, "total = sum", "exp = sum")).find("'exp' is reserved") != std::string::npos);
  CHECK(refusal(with(sound, "x: bf16[row]", "x: i32[row]")).find("i32 is for one number per token") != std::string::npos);
  CHECK(refusal(with(sound, "x: bf16[row]", "x: bf16[row 1]")).find("the number of rows in a group is 1, allowed is 2 to 65536") != std::string::npos);
  CHECK(refusal(with(sound, "y: bf16", "y: bf16[column 2]")).find("expected [row <number>]") != std::string::npos);
  CHECK(refusal("t N=8 (x: f32[row 2], gain: f32[column 4]) { y: f32 = mul(x, gain) }").find("4 rows in a group, elsewhere there are 2") != std::string::npos);
  CHECK(refusal("t N=8 (x: f32[row]) { y: f32 = at(z, 1i) }").find("'z' is no input") != std::string::npos);
  CHECK(refusal("t N=8 (x: f32[row], gain: f32[column]) { y: f32 = mul(x, at(gain, 1i)) }").find("at takes an input of extent row") != std::string::npos);
  CHECK(refusal("t N=8 (x: f32[row]) { y: f32 = mul(x, at(x, index)) }").find("the same along the row") != std::string::npos);
  CHECK(refusal("t N=8 (x: f32[row]) { y: f32 = mul(x, at(x, 1)) }").find("an integer") != std::string::npos);
  CHECK(refusal("t N=0 (x: f32[row]) { y: f32 = reduce_max(x) }").find("of a row without elements") != std::string::npos);
  CHECK(refusal(with(sound, "y: bf16", "y: i32")).find("dtype of inputs") != std::string::npos);
  CHECK(refusal(with(sound, "mul(mul(x, r), weight)", "mul(x, r)")).find("is not used") != std::string::npos);
  CHECK(refusal("").size() > 0);
  CHECK(refusal(std::string(10000, 'a')).find("at most 8192 characters") != std::string::npos);
  std::string deep = "x";
  for (int i = 0; i < 100; ++i) deep = "sqrt(" + deep + ")";
  CHECK(refusal(with(sound, "mul(mul(x, r), weight)", "mul(mul(" + deep + ", r), weight)")).find("deep") != std::string::npos);
}

TEST_CASE("integers, infinities, functions and numbers per token") {
  const std::string text_of_all =
      "all N=8 (x: f32[row], length: i32[token], low: f16[token]) { z = where(and(less(index, length), less_equal(0i, index)), "
      "max(x, low), -inf); largest = reduce_max(z); total = sum(exp(sub(z, largest))); pattern = and(bits(z), -8388608i); "
      "y: e4m3 = from_bits(or(pattern, shift_right(shift_left(bits(x), 9i), 9i))); largest_out: bf16 = largest; "
      "total_out: f32 = log(total) }";
  const Spec spec = parse_spec(text_of_all);
  CHECK(text(spec) == text_of_all);
  CHECK(parse_spec(text(spec)) == spec);
  CHECK(spec.outputs[0].extent == Extent::row);
  CHECK(spec.outputs[1].extent == Extent::token);
  CHECK(passes(spec).size() == 2);
  Spec wrong = spec;
  wrong.outputs[1].extent = Extent::row;
  CHECK(broken_rule(wrong).find("another extent") != std::string::npos);
  // Independent reductions share a pass.
  const Spec two = parse_spec("two N=8 (x: f32[row]) { low: f32 = reduce_min(x); high: f32 = reduce_max(x) }");
  CHECK(passes(two).size() == 1);
  CHECK(passes(two)[0].size() == 2);
}

TEST_CASE("groups of rows, columns of several rows, single elements, one number for all tokens") {
  const std::string text_of_all =
      "all N=8 (x: e4m3[row 16], z: i8[row], gain: f32[column 16], place: i32[token], level: f16[scalar]) { here = at(x, place); "
      "y: bf16[row 16] = fma(mul(x, gain), here, mul(z, level)); chosen: f32 = add(here, at(z, 7i)) }";
  const Spec spec = parse_spec(text_of_all);
  CHECK(text(spec) == text_of_all);
  CHECK(parse_spec(text(spec)) == spec);
  CHECK(passes(spec).empty());
  CHECK(groups(spec) == 16);
  CHECK(gathered_inputs(spec) == std::vector<int>{0, 1});
  CHECK(rows_held(spec.inputs[0], 100) == 100);
  CHECK(rows_held(spec.inputs[2], 100) == 16);
  CHECK(rows_held(spec.inputs[4], 100) == 1);
  CHECK(row_offset(spec, spec.inputs[0], 1000, 35) == 2 * 1000 + 3 * 8);
  CHECK(row_offset(spec, spec.inputs[1], 1000, 35) == 35 * 1000);
  CHECK(row_offset(spec, spec.inputs[2], 0, 35) == 3 * 8);
  CHECK(row_offset(spec, spec.outputs[0], 128, 35) == 35 * 8);
}

TEST_CASE("Specs of f64 are binary64 throughout, and plain reductions") {
  const std::string sums = "wide N=16777217 (x: f64[row], c: f64[column]) { y: f64 = div(sum(mul(x, c)), N); z: f64 = mul(reduce_max(abs(x)), 0.1) }";
  const Spec spec = parse_spec(sums);
  CHECK(is_wide(spec));
  CHECK(parse_spec(text(spec)) == spec);
  CHECK(text(spec).find("16777217") != std::string::npos);
  CHECK(text(spec).find("0.1)") != std::string::npos);
  const auto refused = [](const std::string& body, const char* why) {
    CAPTURE(body);
    CHECK(refusal("wide N=8 (x: f64[row]) { " + body + " }").find(why) != std::string::npos);
  };
  refused("y: f64 = mul(x, sum(x))", "one f64 number per token");
  refused("y: f32 = sum(x)", "one f64 number per token");
  refused("a = sum(x); y: f64 = sum(mul(x, a))", "none of which uses another");
  refused("y: f64 = exp(sum(x))", "exp takes binary32");
  refused("y: f64 = sum(bf16(x))", "no roundings");
  refused("y: f64 = sum(where(less(index, 3i), x, 0))", "no integers");
  CHECK(refusal("t N=8 (x: f64[row], z: f32[row]) { y: f64 = sum(mul(x, z)) }").find("f64 tensors alone") != std::string::npos);
  CHECK(refusal("t N=8 (x: f32[row]) { y: f64 = sum(x) }").find("f64 takes f64 inputs") != std::string::npos);
}

TEST_CASE("every named operator is a Spec that prints and parses") {
  for (const NamedOperator& named : named_operators())
    for (const DType dtype : {DType::bf16, DType::f16, DType::f32}) {
      const Spec spec = named.make(96, dtype);
      CAPTURE(named.name);
      CHECK(parse_spec(text(spec)) == spec);
      CHECK(broken_rule(with_reductions_shown(spec)) == "");
      CHECK_THROWS_AS(named.make(-1, dtype), UsageError);
      CHECK_THROWS_AS(named.make(max_row_length + 1, dtype), UsageError);
    }
}

TEST_CASE("names that generated code or C++ uses are reserved") {
  for (const std::string name : {"class", "lane", "row", "tokens", "warp_sums", "x_words", "y_stride", "float4", "sqrt", "bf16", "i"}) {
    CAPTURE(name);
    std::string renamed = sound;
    for (auto at = renamed.find("total"); at != std::string::npos; at = renamed.find("total", at + name.size()))
      renamed.replace(at, 5, name);
    CHECK(refusal(renamed).size() > 0);
  }
  CHECK(refusal(with(sound, "rms_norm", "rms\"; #include")).size() > 0);
}

TEST_CASE("every variant of RMSNorm is a spec of its own") {
  std::vector<std::string> seen;
  for (const bool residual : {false, true})
    for (const bool weight : {false, true})
      for (const WeightMode mode : {WeightMode::f32, WeightMode::after_cast})
        for (const bool offset : {false, true})
          for (const ResidualMode sum : {ResidualMode::f32_sum, ResidualMode::rounded_sum}) {
            if ((!weight && (mode == WeightMode::after_cast || offset)) || (!residual && sum == ResidualMode::rounded_sum)) continue;
            RmsNormOptions options;
            options.n = 128;
            options.residual = residual;
            options.weight = weight;
            options.weight_mode = mode;
            options.weight_offset_one = offset;
            options.residual_mode = sum;
            const Spec spec = rms_norm(options);
            CHECK(parse_spec(text(spec)) == spec);
            CHECK(spec.op == (residual ? "add_rms_norm" : "rms_norm"));
            for (const std::string& other : seen) CHECK(text(spec) != other);
            seen.push_back(text(spec));
          }
  CHECK(seen.size() == 15);
}

TEST_CASE("RMSNorm refuses lengths and eps out of range") {
  RmsNormOptions options;
  for (const std::int64_t n : {std::int64_t{-1}, std::int64_t{-5}, std::int64_t{1} << 31, std::int64_t{1} << 40}) {
    options.n = n;
    CHECK_THROWS_AS(rms_norm(options), UsageError);
  }
  options.n = 16;
  options.eps = -1;
  CHECK_THROWS_AS(rms_norm(options), UsageError);
  options.eps = std::numeric_limits<float>::infinity();
  CHECK_THROWS_AS(rms_norm(options), UsageError);
}
