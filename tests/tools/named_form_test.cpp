#include "named_form.hpp"

#include <isofold/codegen/rms_norm.hpp>

#include <doctest/doctest.h>

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
