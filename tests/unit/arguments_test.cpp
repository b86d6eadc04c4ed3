#include "arguments.hpp"

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <string>

#include "support/error_text.hpp"

using namespace isofold;
using isofold::testing::contains;

namespace {

const Spec spec = parse_spec(
    "demo N=8 (x: bf16[row], residual: f32[row], weight: f32[column]) { h = add(x, residual); total = "
    "sum(mul(h, h));"
    " y: bf16 = mul(mul(h, total), weight); out: f32 = h }");

/// Addresses far apart, so that nothing overlaps unless a test wants it.
struct Case {
  std::array<ConstTensor, 3> inputs{{{at(1)}, {at(2)}, {at(3)}}};
  std::array<MutableTensor, 2> outputs{{{at(4)}, {at(5)}}};
  std::int64_t tokens = 4;

  static void* at(std::uint64_t place, std::uint64_t offset = 0) {
    return reinterpret_cast<void*>((place << 20) + offset);
  }
  Parameters bind() const {
    Parameters parameters;
    ArgumentLayout(spec).bind(inputs, outputs, tokens, parameters);
    return parameters;
  }
  std::string error() const {
    return testing::usage_error([&] { bind(); });
  }
};

}  // namespace

TEST_CASE("parameters come in the kernel's order, with dense strides for 0") {
  Case c;
  c.inputs[1].row_stride = 16;
  c.outputs[0].row_stride = 24;
  const Parameters p = c.bind();
  REQUIRE(p.count == 10);
  const std::array<std::uint64_t, 10> expected{1 << 20, 2 << 20, 3 << 20, 4 << 20, 5 << 20, 8, 16, 24, 8, 4};
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(p.values[i] == expected[i]);
}

TEST_CASE("the alignment class is what the worst pointer or stride allows") {
  Case c;
  CHECK(c.bind().alignment_class == alignment_classes - 1);
  c.inputs[0].data = Case::at(1, 8);  // four bfloat16
  CHECK(c.bind().alignment_class == 2);
  c.inputs[2].data = Case::at(3, 8);  // two binary32
  CHECK(c.bind().alignment_class == 1);
  c.outputs[0].data = Case::at(4, 2);
  CHECK(c.bind().alignment_class == 0);

  Case strides;
  strides.inputs[1].row_stride = 10;  // 40 bytes
  CHECK(strides.bind().alignment_class == 1);
  strides.inputs[2].row_stride = 9;  // a column has no rows
  CHECK(strides.bind().alignment_class == 1);
}

TEST_CASE("alignment in bytes gives the class of the tensor that suffers most") {
  CHECK(alignment_class_of(spec, 16) == alignment_classes - 1);
  CHECK(alignment_class_of(spec, 256) == alignment_classes - 1);
  CHECK(alignment_class_of(spec, 8) == 1);
  CHECK(alignment_class_of(spec, 4) == 0);
  CHECK_THROWS_WITH_AS(alignment_class_of(spec, 2), "alignment is 2 bytes, residual (f32) needs at least 4",
                       UsageError);
  CHECK_THROWS_AS(alignment_class_of(spec, 12), UsageError);
  CHECK_THROWS_AS(alignment_class_of(spec, 0), UsageError);
  CHECK_THROWS_AS(alignment_class_of(spec, -16), UsageError);
}

TEST_CASE("tensors are counted") {
  Parameters parameters;
  const ArgumentLayout layout(spec);
  const Case c;
  CHECK_THROWS_WITH_AS(layout.bind(std::span(c.inputs).first(2), c.outputs, 1, parameters),
                       "2 input tensors were passed, this operator has 3", UsageError);
  CHECK_THROWS_WITH_AS(layout.bind(c.inputs, std::span(c.outputs).first(1), 1, parameters),
                       "1 output tensors were passed, this operator has 2", UsageError);
}

TEST_CASE("null, misaligned, narrow strides and sizes that overflow are refused") {
  SUBCASE("null") {
    Case c;
    c.outputs[1].data = nullptr;
    CHECK(c.error() == "out: the pointer is null");
  }
  SUBCASE("misaligned pointer") {
    Case c;
    c.inputs[0].data = Case::at(1, 1);
    CHECK(c.error() == "x: the address 0x100001 is not a multiple of 2 bytes, the size of bf16");
  }
  SUBCASE("stride below N") {
    Case c;
    c.outputs[0].row_stride = 7;
    CHECK(c.error() == "y: the row stride is 7, it must be at least the row length 8 (or 0 for dense rows)");
    c.outputs[0].row_stride = -8;
    CHECK(contains(c.error(), "y: the row stride is -8"));
  }
  SUBCASE("overflow") {
    Case c;
    c.tokens = std::numeric_limits<std::int64_t>::max();
    CHECK(contains(c.error(), "do not fit into the address space"));
    c.tokens = 3;
    c.inputs[0].row_stride = std::numeric_limits<std::int64_t>::max() / 2;
    CHECK(contains(c.error(), "x: 3 rows with a row stride of"));
  }
}

TEST_CASE("an output may be a row input's very buffer, and nothing else") {
  SUBCASE("in place") {
    Case c;
    c.outputs[0].data = Case::at(1);
    c.outputs[1].data = Case::at(2);
    CHECK(c.error() == "");
  }
  SUBCASE("another dtype") {
    Case c;
    c.outputs[1].data = Case::at(1);
    CHECK(contains(c.error(), "out [0x100000, 0x100080) overlaps x [0x100000, 0x100040)"));
  }
  SUBCASE("another stride") {
    Case c;
    c.outputs[0] = {Case::at(1), 16};
    CHECK(contains(c.error(), "y [0x100000, 0x100070) overlaps x"));
  }
  SUBCASE("shifted") {
    Case c;
    c.outputs[0].data = Case::at(1, 16);
    CHECK(contains(c.error(), "overlaps x"));
    c.outputs[0].data = Case::at(1, 64);  // right behind x
    CHECK(c.error() == "");
  }
  SUBCASE("a column") {
    Case c;
    c.outputs[1].data = Case::at(3);
    CHECK(contains(c.error(), "overlaps weight"));
  }
  SUBCASE("two outputs") {
    Case c;
    c.outputs[1].data = c.outputs[0].data;
    CHECK(contains(c.error(), "out [0x400000, 0x400080) overlaps y"));
  }
}

TEST_CASE("slices of one larger row may lie side by side") {
  Case c;
  c.inputs[0] = {Case::at(1), 24};
  c.outputs[0] = {Case::at(1, 16), 24};
  CHECK(c.error() == "");
  c.outputs[0].data = Case::at(1, 32);  // the last third
  CHECK(c.error() == "");
  c.outputs[0].data = Case::at(1, 34);  // reaches into the next row
  CHECK(contains(c.error(), "overlaps x"));
  c.outputs[0].data = Case::at(1, 48);  // x, one row later
  CHECK(contains(c.error(), "overlaps x"));
  c.outputs[0].data = Case::at(1, 48 + 16);
  CHECK(c.error() == "");
  c.outputs[0] = {Case::at(1, 16), 32};  // other strides meet sooner or later
  CHECK(contains(c.error(), "overlaps x"));
}

TEST_CASE("a Spec with more tensors than a launch can pass is refused") {
  std::string text = "wide N=8 (x0: f32[row]";
  std::string sum = "x0";
  for (int i = 1; i < 40; ++i) {
    text += ", x" + std::to_string(i) + ": f32[row]";
    sum = "add(" + sum + ", x" + std::to_string(i) + ")";
  }
  text += ") { total = sum(" + sum + "); y: f32 = mul(x0, total) }";
  CHECK_THROWS_WITH_AS(ArgumentLayout{parse_spec(text)},
                       "wide has 40 inputs and 1 outputs, together at most 40 are allowed", UsageError);
}

TEST_CASE("groups of rows, numbers for all tokens, and inputs of which single elements are read") {
  const Spec grouped = parse_spec(
      "grouped N=8 (x: bf16[row 4], weight: bf16[column 4], place: i32[token], level: f32[scalar]) { "
      "y: bf16[row 4] = mul(fma(x, weight, at(x, place)), level) }");
  std::array<ConstTensor, 4> inputs{{{Case::at(1)}, {Case::at(2)}, {Case::at(3)}, {Case::at(6)}}};
  std::array<MutableTensor, 1> outputs{{{Case::at(4)}}};
  Parameters p;
  const auto bind = [&](std::int64_t tokens) { ArgumentLayout(grouped).bind(inputs, outputs, tokens, p); };
  bind(9);
  REQUIRE(p.count == 9);
  CHECK(p.values[5] == 32);  // dense groups
  CHECK(p.values[6] == 1);
  CHECK(p.values[7] == 32);
  CHECK(p.values[8] == 9);
  outputs[0] = {reinterpret_cast<std::byte*>(Case::at(1)) + 9 * 8 * 2};  // right behind the ninth row
  bind(9);
  inputs[0].row_stride = 31;
  CHECK(contains(testing::usage_error([&] { bind(9); }), "it must be at least the row length 32"));
  inputs[0].row_stride = 40;
  outputs[0] = {Case::at(1), 40};
  CHECK(contains(testing::usage_error([&] { bind(9); }), "overlaps"));  // its elements are read at any time
}

TEST_CASE("rows without elements have no address") {
  const Spec empty = parse_spec("empty N=0 (x: bf16[row]) { total = sum(x); y: bf16 = mul(x, total); z: f32 = total }");
  Parameters p;
  std::array<ConstTensor, 1> inputs{};
  std::array<MutableTensor, 2> outputs{{{nullptr}, {Case::at(4)}}};
  ArgumentLayout(empty).bind(inputs, outputs, 5, p);
  CHECK(p.values[1] == 0);
  outputs[1] = {nullptr};
  CHECK(contains(testing::usage_error([&] { ArgumentLayout(empty).bind(inputs, outputs, 5, p); }), "z: the pointer is null"));
}
