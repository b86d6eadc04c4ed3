#include "masked_input.hpp"

#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/cuda_emitter.hpp>
#include <isofold/codegen/softmax.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

using namespace isofold;

namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

std::vector<MaskedInput> masks_of(const std::string& inputs, const std::string& body) {
  return masked_inputs(parse_spec(fmt::format("op N=100 ({}) {{ {} }}", inputs, body)));
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t place = text.find(part); place != std::string::npos; place = text.find(part, place + 1)) ++found;
  return found;
}

/// The kernels of a schedule, from the first one's first line on.
std::string kernels(const Spec& spec, const std::string& schedule, const char* arch) {
  const std::string text = emit_cuda(make_plan(spec, default_fold(spec), parse_schedule(schedule), *traits_of_arch(arch)).value()).text;
  return text.substr(text.find("__global__"));
}

}  // namespace

TEST_CASE("masked softmax masks x with -inf in its own dtype") {
  for (const auto& [dtype, filler] : {std::pair{DType::bf16, 0xff80ff80u}, {DType::f16, 0xfc00fc00u}, {DType::f32, 0xff800000u}}) {
    const Spec spec = softmax({.n = 100, .dtype = dtype, .length = true});
    const auto masks = masked_inputs(spec);
    REQUIRE(masks.size() == 1);
    CHECK(spec.nodes[at(masks[0].node)].name == "z");
    CHECK(masks[0].tensor == 0);
    CHECK(spec.nodes[at(masks[0].limit)].name == "length");
    CHECK(masks[0].filler == filler);
  }
}

TEST_CASE("a constant is what x's dtype holds exactly, with its sign") {
  const auto filler = [](const char* dtype, const char* constant) {
    const auto masks = masks_of(fmt::format("x: {}[row], length: i32[token]", dtype), fmt::format("y: f32 = where(less(index, length), x, {})", constant));
    return masks.empty() ? std::string("none") : fmt::format("{:08x}", masks[0].filler);
  };
  CHECK(filler("bf16", "0") == "00000000");
  CHECK(filler("bf16", "-0") == "80008000");
  CHECK(filler("bf16", "inf") == "7f807f80");
  CHECK(filler("bf16", "-1.5") == "bfc0bfc0");
  CHECK(filler("bf16", "1.00390625") == "none");  // 1 + 2^-8
  CHECK(filler("bf16", "0.1") == "none");
  CHECK(filler("f16", "0") == "00000000");
  CHECK(filler("f16", "-0") == "80008000");
  CHECK(filler("f16", "inf") == "7c007c00");
  CHECK(filler("f16", "-1.5") == "be00be00");
  CHECK(filler("f16", "65504") == "7bff7bff");
  CHECK(filler("f16", "65536") == "none");
  CHECK(filler("f16", "1.00048828125") == "none");           // 1 + 2^-11
  CHECK(filler("f16", "6.103515625e-05") == "04000400");     // 2^-14, the smallest normal number
  CHECK(filler("f16", "5.9604644775390625e-08") == "00010001");  // 2^-24, the smallest one
  CHECK(filler("f16", "-6.097555160522461e-05") == "83ff83ff");  // the largest subnormal one
  CHECK(filler("f16", "8.940696716308594e-08") == "none");   // 1.5 * 2^-24
  CHECK(filler("f16", "1e-40") == "none");
  CHECK(filler("f32", "0.1") == "3dcccccd");
  CHECK(filler("f32", "-0") == "80000000");
  CHECK(filler("f32", "1e-40") == "000116c2");
  CHECK(filler("e4m3", "0") == "none");
  CHECK(filler("i8", "0") == "none");
}

TEST_CASE("limits are the same along the row and known before the first pass") {
  const std::string inputs = "x: bf16[row], other: bf16[row], length: i32[token], all: i32[scalar]";
  const auto is_masked = [&](const char* limit) {
    return masks_of(inputs, fmt::format("z = where(less(index, {}), x, 0); total = sum(other); y: f32 = "
                                        "add(mul(z, total), from_int(add(length, all)))", limit)).size() == 1;
  };
  CHECK(is_masked("length"));
  CHECK(is_masked("all"));
  CHECK(is_masked("30i"));
  CHECK(is_masked("-30i"));
  CHECK(is_masked("add(length, all)"));
  CHECK(is_masked("bits(at(other, length))"));
  CHECK(is_masked("bits(at(x, 3i))"));  // of the tensor, not of the masked words
  CHECK_FALSE(is_masked("bits(other)"));
  CHECK_FALSE(is_masked("add(index, length)"));
  CHECK_FALSE(masks_of(inputs, "total = sum(other); y: f32 = add(where(less(index, bits(total)), x, 0), from_int(add(length, all)))").size() == 1);
}

TEST_CASE("x is masked only where nothing else uses it and nothing else is chosen") {
  const std::string inputs = "x: bf16[row], c: bf16[column], length: i32[token]";
  const auto number = [&](const char* body) { return masks_of(inputs, body).size(); };
  CHECK(number("z = where(less(index, length), x, 0); y: f32 = mul(z, c); other: f32 = z") == 1);
  CHECK(number("y: f32 = mul(reduce_max(where(less(index, length), x, 0)), c)") == 1);
  CHECK(number("inside = less(index, length); z = where(inside, x, 0); y: f32 = where(inside, z, c)") == 1);
  CHECK(number("z = where(less(index, length), x, 0); y: f32 = add(mul(z, c), at(x, length))") == 1);
  CHECK(number("z = where(less(index, length), x, 0); y: f32 = mul(z, c); other: f32 = x") == 0);
  CHECK(number("z = where(less(index, length), x, 0); y: f32 = mul(z, c); other: f32 = add(x, sum(z))") == 0);
  CHECK(number("z = where(less(index, length), x, 0); y: f32 = mul(z, c); other: f32 = where(less(index, 3i), x, 0)") == 0);
  CHECK(number("z = where(less(index, length), c, 0); y: f32 = mul(z, x)") == 0);
  CHECK(number("z = where(less(index, length), x, c); y: f32 = z") == 0);
  CHECK(number("z = where(less(index, length), 0, x); y: f32 = mul(z, c)") == 0);
  CHECK(number("z = where(less(length, index), x, 0); y: f32 = mul(z, c)") == 0);
  CHECK(number("z = where(less_equal(index, length), x, 0); y: f32 = mul(z, c)") == 0);
  CHECK(number("z = where(less(index, length), neg(x), 0); y: f32 = mul(z, c)") == 0);
  CHECK(masks_of("x: f16[row], other: f32[row], length: i32[token]",
                 "y: f32 = sum(mul(where(less(index, length), x, 0), where(less(index, 7i), other, 1)))").size() == 2);
}

TEST_CASE("a masked choice becomes the input, which needs the limit") {
  const Spec spec = softmax({.n = 100, .length = true});
  const MaskedInput mask = masked_inputs(spec).at(0);
  const Spec masked = with_masked_inputs(spec);
  CHECK(masked_inputs(masked).empty());
  CHECK(masked.nodes[at(mask.node)].op == Op::input);
  CHECK(masked.nodes[at(mask.node)].name == "x");
  CHECK(needed_by(masked, mask.node)[at(mask.limit)]);
  for (std::size_t i = 0; i < spec.nodes.size(); ++i) CHECK((i == at(mask.node) || masked.nodes[i] == spec.nodes[i]));
  CHECK(with_masked_inputs(softmax({.n = 100})) == softmax({.n = 100}));
}

TEST_CASE("words are masked once after each load, and reduced in pairs") {
  const Spec spec = softmax({.n = 4096, .length = true});
  const auto check = [&](const char* schedule, const char* arch, std::size_t loads) {
    CAPTURE(schedule);
    const std::string text = kernels(spec, schedule, arch);
    CHECK(count(text, "load_16_streaming(") == loads);
    CHECK(count(text, "mask_16(") == loads);
    CHECK(count(text, "max_or_nan_pair_bf16(") == 1);
    CHECK(count(text, "choose(") == 0);
    CHECK(text.find("load_16_streaming(") < text.find("mask_16("));
  };
  const std::string rest = " vector=8 weights=late memory=streaming launch=plain resident=1";
  check(("gpu threads=256 rows=1 blocks=1 split=none staging=registers" + rest).c_str(), "sm_80", 1);
  check(("gpu threads=128 rows=1 blocks=1 split=none staging=shared" + rest).c_str(), "sm_80", 1);
  check(("gpu threads=128 rows=1 blocks=1 split=none staging=reread" + rest).c_str(), "sm_80", 3);
  check(("gpu threads=128 rows=1 blocks=2 split=cluster staging=registers" + rest).c_str(), "sm_90", 1);
  check(("gpu threads=128 rows=1 blocks=2 split=workspace staging=reread" + rest).c_str(), "sm_80", 3);
}

TEST_CASE("masked softmax has the candidates of softmax") {
  const auto schedules = [](std::int64_t n, DType dtype, bool length) {
    const Spec spec = softmax({.n = n, .dtype = dtype, .length = length});
    std::string out;
    for (const Plan& plan : candidates(spec, default_fold(spec), *traits_of_arch("sm_90"))) out += text(plan.gpu()) + "\n";
    return out;
  };
  for (const std::int64_t n : {100, 4096, 20480, 151936})
    for (const DType dtype : {DType::bf16, DType::f32}) CHECK(schedules(n, dtype, true) == schedules(n, dtype, false));
}
