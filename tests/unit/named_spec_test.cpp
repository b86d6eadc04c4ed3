// Operators by name, with options as a text.
#include <isofold/codegen/layer_norm.hpp>
#include <isofold/codegen/named_spec.hpp>
#include <isofold/codegen/operators.hpp>
#include <isofold/codegen/quantize.hpp>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/codegen/row_reduction.hpp>
#include <isofold/codegen/softmax.hpp>
#include <isofold/error.hpp>

#include <doctest/doctest.h>

#include <string>

#include "support/error_text.hpp"

using namespace isofold;
using isofold::testing::contains;
using isofold::testing::usage_error;

TEST_CASE("every named operator without options is what the table makes") {
  for (const NamedOperator& named : named_operators())
    for (const DType dtype : {DType::bf16, DType::f32}) {
      CAPTURE(named.name);
      CHECK(named_spec(named.name, 96, dtype) == named.make(96, dtype));
    }
}

TEST_CASE("every option reaches the operator that has it") {
  CHECK(named_spec("add_rms_norm", 64, DType::bf16,
                   "output_dtype=f16 weight_dtype=f32 residual_dtype=f32 residual_mode=rounded_sum eps=1e-5 groups=4 "
                   "shared_weight=on weight_mode=after_cast weight_offset_one=on") ==
        rms_norm({.n = 64, .output_dtype = DType::f16, .weight_dtype = DType::f32, .weight_mode = WeightMode::after_cast,
                  .weight_offset_one = true, .residual = true, .residual_dtype = DType::f32,
                  .residual_mode = ResidualMode::rounded_sum, .eps = 1e-5f, .groups = 4, .shared_weight = true}));
  CHECK(named_spec("rms_norm", 64, DType::f32, "  weight=off ") == rms_norm({.n = 64, .dtype = DType::f32, .weight = false}));
  CHECK(named_spec("layer_norm", 64, DType::f16, "bias=off eps=0") == layer_norm({.n = 64, .dtype = DType::f16, .bias = false, .eps = 0}));
  CHECK(named_spec("masked_softmax", 64, DType::f16, "output_dtype=f32 scale=0.125 temperature=on") ==
        softmax({.n = 64, .dtype = DType::f16, .output_dtype = DType::f32, .scale = 0.125f, .temperature = true, .length = true}));
  CHECK(named_spec("masked_softmax", 64, DType::f16, "sink=on") == softmax({.n = 64, .dtype = DType::f16, .length = true, .sink = true}));
  CHECK(named_spec("add_rms_norm_quant", 64, DType::bf16, "quantized_dtype=i8") ==
        rms_norm({.n = 64, .residual = true, .quantize = Quantize{.dtype = DType::i8}}));
  CHECK(named_spec("mean", 64, DType::bf16, "output_dtype=f32") ==
        row_reduction({.reduction = RowReduction::mean, .n = 64, .output_dtype = DType::f32}));
  CHECK(named_spec("rms_norm_static_quant", 64, DType::bf16, "static_scale=0.5") ==
        rms_norm({.n = 64, .quantize = Quantize{.static_scale = 0.5f}}));
  CHECK(named_spec("silu_and_mul_static_quant", 64, DType::bf16, "static_scale=2") ==
        silu_and_mul_quant({.n = 64, .quantize = {.static_scale = 2.0f}}));
}

TEST_CASE("the scale of every quantised operator: the row's own, a number of the Spec, one that each call passes") {
  const auto made = [](std::string_view name, std::string_view options) { return named_spec(name, 64, DType::bf16, options); };
  const auto added = [](const Quantize& quantize) { return rms_norm({.n = 64, .residual = true, .quantize = quantize}); };
  CHECK(made("add_rms_norm_quant", "static_scale=0.5") == added({.static_scale = 0.5f}));
  CHECK(made("add_rms_norm_quant", "static_scale=on") == added({.scale_input = true}));
  CHECK(made("add_rms_norm_quant", "static_scale=on quantized_dtype=i8") == added({.dtype = DType::i8, .scale_input = true}));
  CHECK(made("add_rms_norm_quant", "static_scale=off") == added({}));
  CHECK(made("rms_norm_quant_i8", "static_scale=2") == rms_norm({.n = 64, .quantize = Quantize{.dtype = DType::i8, .static_scale = 2.0f}}));
  CHECK(made("rms_norm_quant", "static_scale=on") == made("rms_norm_static_quant", ""));
  CHECK(made("rms_norm_static_quant", "static_scale=on") == made("rms_norm_static_quant", ""));
  CHECK(made("rms_norm_static_quant", "static_scale=off") == made("rms_norm_quant", ""));
  CHECK(made("silu_and_mul_quant", "static_scale=on") == made("silu_and_mul_static_quant", ""));
}

TEST_CASE("dtypes by name") {
  CHECK(named_dtype("e4m3") == DType::e4m3);
  for (const char* wrong : {"i32", "float32", "", "F32"})
    CHECK(usage_error([&] { named_dtype(wrong); }) ==
          "dtype is \"" + std::string(wrong) + "\"; allowed are f32, bf16, f16, e4m3, i8, f64");
}

TEST_CASE("what an operator does not take is refused, with what it takes") {
  const auto refusal = [](std::string_view name, std::string_view options) {
    return usage_error([&] { named_spec(name, 64, DType::bf16, options); });
  };
  CHECK(contains(refusal("softmix", ""), "there is no operator \"softmix\"; allowed are rms_norm, add_rms_norm,"));
  CHECK(refusal("softmax", "eps=1") ==
        "options of softmax \"eps=1\": unknown or repeated key 'eps'; there are output_dtype, scale, temperature, length, sink");
  CHECK(contains(refusal("rms_norm", "residual_dtype=f32"), "unknown or repeated key 'residual_dtype'"));
  CHECK(contains(refusal("layer_norm", "weight_mode=f32"), "unknown or repeated key 'weight_mode'"));
  CHECK(contains(refusal("rms_norm", "eps=1 eps=2"), "unknown or repeated key 'eps'"));
  CHECK(contains(refusal("rms_norm", "static_scale=1"), "unknown or repeated key 'static_scale'"));
  CHECK(contains(refusal("add_rms_norm", "quantized_dtype=i8"), "unknown or repeated key 'quantized_dtype'"));
  CHECK(contains(refusal("add_rms_norm_quant", "static_scale=input"), "static_scale is \"input\"; allowed is a number, on or off"));
  CHECK(contains(refusal("add_rms_norm_quant", "static_scale=0"), "the scale is 0, allowed is a positive finite number"));
  CHECK(contains(refusal("add_rms_norm_quant", "quantized_dtype=bf16"), "results are quantised to e4m3 or i8, not to bf16"));
  CHECK(contains(refusal("log_softmax", "sink=on"), "a sink belongs to softmax"));
  CHECK(contains(refusal("cross_entropy", "output_dtype=f32"), "unknown or repeated key 'output_dtype'"));
  CHECK(contains(refusal("sum", "f32"), "'f32' is not key=value"));
  CHECK(contains(refusal("sum", "output_dtype=float"), "output_dtype is \"float\"; allowed are f32, bf16, f16, e4m3, i8, f64"));
  CHECK(contains(refusal("sum", "output_dtype=i32"), "output_dtype is \"i32\"; allowed are"));
  CHECK(contains(refusal("rms_norm", "weight=no"), "weight is \"no\"; allowed are off, on"));
  CHECK(contains(refusal("add_rms_norm", "residual_mode=sum"), "allowed are f32_sum, rounded_sum"));
  CHECK(contains(refusal("rms_norm", "eps=small"), "eps is \"small\"; allowed is a number"));
  CHECK(contains(refusal("rms_norm", "eps="), "eps is \"\"; allowed is a number"));
  CHECK(contains(refusal("rms_norm", "eps=nan"), "allowed is a finite number >= 0"));
  CHECK(contains(refusal("rms_norm", "groups=2.5"), "groups is \"2.5\"; allowed is a whole number"));
  CHECK(contains(refusal("rms_norm", "groups=0"), "allowed is 1 to 65536"));
  CHECK(contains(refusal("rms_norm", "weight=off weight_dtype=f32"), "there is no weight (weight=off), so no weight_dtype"));
  CHECK(contains(usage_error([] { named_spec("rms_norm", -1, DType::bf16); }), "n is -1"));
}
