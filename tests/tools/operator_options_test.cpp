// What --op and its options ask for.
#include "operator_options.hpp"

#include <isofold/codegen/operators.hpp>
#include <isofold/codegen/quantize.hpp>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/codegen/softmax.hpp>
#include <isofold/error.hpp>

#include <doctest/doctest.h>

#include <string>

#include "support/error_text.hpp"

using namespace isofold;
using isofold::testing::contains;
using isofold::testing::usage_error;
using isofold::tools::OperatorOptions;

namespace {

OperatorOptions named(const std::string& op, const std::string& dtype = "bf16") {
  OperatorOptions options;
  options.op = op;
  options.dtype = dtype;
  return options;
}

}  // namespace

TEST_CASE("every named operator without further options is what the library calls so") {
  for (const NamedOperator& one : named_operators())
    for (const DType dtype : {DType::bf16, DType::f32}) {
      CAPTURE(one.name);
      CHECK(named(std::string(one.name), std::string(name_of(dtype))).make_spec(96) == one.make(96, dtype));
    }
}

TEST_CASE("options reach the operators that have them") {
  OperatorOptions softmax = named("masked_softmax");
  softmax.scale = "0.125";
  softmax.temperature = true;
  softmax.output_dtype = "f32";
  CHECK(text(softmax.make_spec(8)).starts_with(
      "softmax N=8 (x: bf16[row], temperature: f32[token], length: i32[token]) { z = where(less(index, length), div(mul(x, 0.125), temperature), -inf);"));
  OperatorOptions heads = named("rms_norm_quant");
  heads.groups = "4";
  heads.shared_weight = true;
  heads.eps = "1e-5";
  const std::string of_heads = text(heads.make_spec(128));
  CHECK(contains(of_heads, "(x: bf16[row 4], weight: bf16[column])"));
  CHECK(contains(of_heads, "1e-05"));
  CHECK(contains(of_heads, "y: e4m3[row 4]"));
  OperatorOptions sum = named("sum", "bf16");
  sum.output_dtype = "f32";
  CHECK(contains(text(sum.make_spec(8)), "y: f32 = sum(x)"));
  CHECK(contains(text(named("sum", "f64").make_spec(8)), "y: f64 = sum(x)"));
}

TEST_CASE("length, sink and what is quantised") {
  const auto made = [](const char* op, const auto& change) {
    OperatorOptions options = named(op);
    change(options);
    return options.make_spec(64);
  };
  CHECK(made("log_softmax", [](auto& o) { o.length = true; }) == softmax({.n = 64, .log = true, .length = true}));
  CHECK(made("masked_softmax", [](auto& o) { o.sink = true; }) == softmax({.n = 64, .length = true, .sink = true}));
  CHECK(made("add_rms_norm_quant", [](auto& o) { o.quantized_dtype = "i8"; }) ==
        rms_norm({.n = 64, .residual = true, .quantize = Quantize{.dtype = DType::i8}}));
  CHECK(made("silu_and_mul_quant", [](auto& o) { o.quantized_dtype = "i8"; }) ==
        silu_and_mul_quant({.n = 64, .quantize = {.dtype = DType::i8}}));
  CHECK(made("add_rms_norm_quant", [](auto& o) { o.static_scale = "0.5"; }) ==
        rms_norm({.n = 64, .residual = true, .quantize = Quantize{.static_scale = 0.5f}}));
  CHECK(made("add_rms_norm_quant", [](auto& o) { o.static_scale = "on"; }) ==
        rms_norm({.n = 64, .residual = true, .quantize = Quantize{.scale_input = true}}));
}

TEST_CASE("options of other operators are refused") {
  const auto refusal = [](OperatorOptions options) { return usage_error([&] { options.make_spec(8); }); };
  OperatorOptions options = named("layer_norm");
  options.scale = "2";
  CHECK(contains(refusal(options), "unknown or repeated key 'scale'"));
  options = named("softmax");
  options.eps = "1e-5";
  CHECK(contains(refusal(options), "unknown or repeated key 'eps'; there are output_dtype, scale, temperature"));
  options = named("cross_entropy");
  options.output_dtype = "f32";
  CHECK(contains(refusal(options), "unknown or repeated key 'output_dtype'"));
  options = named("add_rms_norm");
  options.static_scale = "on";
  CHECK(contains(refusal(options), "unknown or repeated key 'static_scale'"));
  options = named("rms_norm");
  options.quantized_dtype = "i8";
  CHECK(contains(refusal(options), "unknown or repeated key 'quantized_dtype'"));
  options = named("rms_norm");
  options.length = true;
  CHECK(contains(refusal(options), "unknown or repeated key 'length'"));
  options = named("log_softmax");
  options.sink = true;
  CHECK(refusal(options) == "log_softmax: a sink belongs to softmax");
  options = named("softmax");
  options.scale = "much";
  CHECK(contains(refusal(options), "scale is \"much\"; allowed is a number"));
  options.scale = "2 temperature=on";  // one value, not two options
  CHECK(refusal(options) == "--scale is \"2 temperature=on\"; allowed is one word");
  options = named("rms_norm");
  options.weight_dtype = "f32 ";
  CHECK(refusal(options) == "--weight-dtype is \"f32 \"; allowed is one word");
  options = named("rms_norm");
  options.groups = "0";
  CHECK(contains(refusal(options), "groups is 0, allowed is 1 to"));
  CHECK(contains(refusal(named("softmix")), "allowed are rms_norm, "));
  CHECK(contains(refusal(named("rms_norm", "int8")), "allowed are f32, bf16, f16, e4m3, i8, f64"));
}

TEST_CASE("options that would do nothing are refused") {
  OperatorOptions norm = named("rms_norm");
  norm.shared_weight = true;
  CHECK(contains(usage_error([&] { norm.make_spec(64); }), "--shared-weight is of groups"));
  norm.groups = "4";
  CHECK(usage_error([&] { norm.make_spec(64); }).empty());
  norm.no_weight = true;
  CHECK(contains(usage_error([&] { norm.make_spec(64); }), "no weight to share"));
  OperatorOptions layer = named("layer_norm");
  layer.no_weight = layer.no_bias = true;
  layer.weight_dtype = "f32";
  CHECK(contains(usage_error([&] { layer.make_spec(64); }), "neither a weight nor a bias"));
}

TEST_CASE("a report's title is the operator's own name, not that of the Spec that variants share") {
  for (const char* op : {"masked_softmax", "sink_softmax", "softmax", "sum", "amax"}) {
    CAPTURE(op);
    CHECK(isofold::tools::title_of(named(op).make_spec(64)).starts_with(std::string(op) + " N=64"));
  }
  OperatorOptions eps = named("rms_norm");
  eps.eps = "1e-3";
  CHECK(isofold::tools::title_of(eps.make_spec(64)) == "rms_norm N=64 bf16");
}
