#include "named_form.hpp"

#include <isofold/codegen/named_spec.hpp>
#include <isofold/codegen/rms_norm.hpp>

#include <doctest/doctest.h>

#include <string_view>

using namespace isofold;
using namespace isofold::tools;

TEST_CASE("every named operator is found again") {
  for (const NamedOperator& named : named_operators())
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      CAPTURE(named.name);
      CHECK(named_form(named.make(40, dtype), Constants::compared) == &named);
      CHECK(named_form(named.make(40, dtype), Constants::ignored) == &named);
    }
}

TEST_CASE("another eps is another operator where constants count; another form is none") {
  const Spec eps = rms_norm({.n = 64, .eps = 1e-3f});
  CHECK(named_form(eps, Constants::compared) == nullptr);
  REQUIRE(named_form(eps, Constants::ignored) != nullptr);
  CHECK(named_form(eps, Constants::ignored)->name == "rms_norm");
  CHECK(named_form(rms_norm({.n = 64, .weight = false}), Constants::ignored) == nullptr);
  CHECK(named_form(rms_norm({.n = 64, .weight_dtype = DType::f32}), Constants::ignored) == nullptr);
}

TEST_CASE("options that make one named operator of another make that operator") {
  const auto name = [](std::string_view op, std::string_view options) {
    const NamedOperator* form = named_form(named_spec(op, 64, DType::bf16, options), Constants::compared);
    return form ? form->name : "";
  };
  CHECK(name("softmax", "length=on") == "masked_softmax");
  CHECK(name("softmax", "sink=on") == "sink_softmax");
  CHECK(name("rms_norm_quant", "quantized_dtype=i8") == "rms_norm_quant_i8");
  CHECK(name("rms_norm_quant", "static_scale=on") == "rms_norm_static_quant");
  CHECK(name("silu_and_mul_quant", "static_scale=on") == "silu_and_mul_static_quant");
}

TEST_CASE("variants without a name of their own are not taken for the operator that they vary") {
  const auto nameless = [](std::string_view op, std::string_view options) {
    return named_form(named_spec(op, 64, DType::bf16, options), Constants::ignored) == nullptr;
  };
  CHECK(nameless("log_softmax", "length=on"));
  CHECK(nameless("masked_softmax", "sink=on"));
  CHECK(nameless("add_rms_norm_quant", "static_scale=on"));
  CHECK(nameless("add_rms_norm_quant", "static_scale=0.5"));
  CHECK(nameless("add_rms_norm_quant", "quantized_dtype=i8"));
  CHECK(nameless("silu_and_mul_quant", "quantized_dtype=i8"));
}
