#pragma once
#include <isofold/codegen/spec_builder.hpp>

#include <functional>

namespace isofold::testing {

/// An operator whose output `out` is made by `make`, of rows x and y and a whole number per token.
using Make = std::function<Value(SpecBuilder&, Value x, Value y, Value number)>;
inline Spec spec_of(const Make& make) {
  SpecBuilder b("one", 8);
  const Value x = b.row("x", DType::f32), y = b.row("y", DType::f32), number = b.token("number", DType::i32);
  b.output("out", DType::f32, make(b, x, y, number));
  b.output("used", DType::f32, fma(sum(x), y, from_int(number)));
  return b.build();
}

}  // namespace isofold::testing
