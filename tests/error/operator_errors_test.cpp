// Launches that are refused, on the CPU backend: the checks are the same on every device.
#include <isofold/isofold.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "support/error_text.hpp"

using namespace isofold;
using namespace isofold::testing;

namespace {

constexpr std::int64_t n = 24, tokens = 3;
constexpr std::uint16_t untouched = 0xbeef;

/// A fused add with everything in order; each test breaks one thing.
struct Fixture {
  Fixture() { arguments = {{x.data()}, {residual.data()}, weight.data(), {y.data()}, {sum.data()}}; }

  /// The error of the launch, after which every byte must be what it was.
  std::string error(std::int64_t count = tokens) {
    const Tensors before = tensors();
    const std::string message = usage_error([&] { op.launch(nullptr, arguments, count); });
    CHECK(tensors() == before);
    return message;
  }
  using Tensors = std::vector<std::vector<std::uint16_t>>;
  Tensors tensors() const { return {x, residual, weight, y, sum}; }

  static std::vector<std::uint16_t> values(std::uint16_t bits) {
    return std::vector<std::uint16_t>(4 * n * tokens, bits);
  }
  Runtime runtime{{.device = "cpu", .cache_folder = "off", .tables = {}}};
  Operator op = runtime.rms_norm({.n = n, .residual = true});
  std::vector<std::uint16_t> x = values(0x3f80), residual = values(0x4000), weight = values(0x3f00),
                             y = values(untouched), sum = values(untouched);
  RmsNormArguments arguments;
};

void* shifted(const std::vector<std::uint16_t>& tensor, std::size_t bytes) {
  return const_cast<std::byte*>(reinterpret_cast<const std::byte*>(tensor.data()) + bytes);
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "everything in order") {
  CHECK(usage_error([&] { op.launch(nullptr, arguments, tokens); }) == "");
  CHECK(std::count(y.begin(), y.end(), untouched) == static_cast<std::ptrdiff_t>(y.size()) - n * tokens);
}

TEST_CASE_FIXTURE(Fixture, "null pointers") {
  arguments.x.data = nullptr;
  CHECK(error() == "x: the pointer is null");
  arguments.x.data = x.data();
  arguments.weight = nullptr;
  CHECK(error() == "weight: the pointer is null");
  arguments.weight = weight.data();
  arguments.residual_out.data = nullptr;
  CHECK(error() == "residual_out: the pointer is null");
}

TEST_CASE_FIXTURE(Fixture, "misaligned pointers") {
  arguments.y.data = shifted(y, 1);
  CHECK(contains(error(), "y: the address 0x"));
  CHECK(contains(error(), "is not a multiple of 2 bytes, the size of bf16"));
}

TEST_CASE_FIXTURE(Fixture, "token counts") {
  CHECK(error(-1) == "tokens is -1, it must not be negative");
  CHECK(error(std::numeric_limits<std::int64_t>::min()) != "");
  CHECK(contains(error(std::numeric_limits<std::int64_t>::max()), "do not fit into the address space"));
}

TEST_CASE_FIXTURE(Fixture, "no tokens is success, whatever the arguments are") {
  arguments = {};
  CHECK(error(0) == "");
}

TEST_CASE_FIXTURE(Fixture, "strides") {
  arguments.residual.row_stride = n - 1;
  CHECK(error() ==
        "residual: the row stride is 23, it must be at least the row length 24 (or 0 for dense rows)");
  arguments.residual.row_stride = -n;
  CHECK(contains(error(), "the row stride is -24"));
  arguments.residual.row_stride = std::numeric_limits<std::int64_t>::max();
  CHECK(contains(error(), "do not fit into the address space"));
}

TEST_CASE_FIXTURE(Fixture, "a workspace that is none") {
  const ConstTensor inputs[] = {arguments.x, arguments.residual, {.data = arguments.weight}};
  const MutableTensor outputs[] = {arguments.y, arguments.residual_out};
  const auto with = [&](const Workspace& workspace) {
    return usage_error([&] { op.launch(nullptr, inputs, outputs, tokens, workspace); });
  };
  CHECK(with({nullptr, 256}) == "workspace is null, its size is 256 bytes");
  CHECK(with({reinterpret_cast<void*>(std::uintptr_t{4096 + 128}), 256}) == "workspace is not aligned to 256 bytes");
  CHECK(std::count(y.begin(), y.end(), untouched) == static_cast<std::ptrdiff_t>(y.size()));
  CHECK(with({reinterpret_cast<void*>(std::uintptr_t{4096}), 0}) == "");
  alignas(256) std::byte memory[512];
  CHECK(with({memory, sizeof memory}) == "");  // no operator on a CPU uses it
  CHECK(op.workspace_bytes(1) == 0);
  CHECK(op.workspace_bytes(0) == 0);
  CHECK(usage_error([&] { op.workspace_bytes(-1); }) == "max_tokens is -1, it must not be negative");
}

TEST_CASE_FIXTURE(Fixture, "overlap") {
  arguments.y.data = shifted(x, 2);
  CHECK(contains(error(), "y [0x"));
  CHECK(contains(error(), "overlaps x [0x"));
  arguments.y = {x.data(), n + 1};
  CHECK(contains(error(), "overlaps x"));
  arguments.y = {weight.data()};
  CHECK(contains(error(), "overlaps weight"));
  arguments.y = {sum.data()};
  CHECK(contains(error(), "residual_out [0x"));
}

TEST_CASE_FIXTURE(Fixture, "tensors that the operator does not have, or has besides") {
  const Operator plain = runtime.rms_norm({.n = n, .weight = false});
  CHECK(usage_error([&] { plain.launch(nullptr, arguments, tokens); }) ==
        "residual was passed, but this rms_norm was made without one");
  arguments.residual = {};
  arguments.residual_out = {};
  CHECK(usage_error([&] { plain.launch(nullptr, arguments, tokens); }) ==
        "weight was passed, but this rms_norm was made without one");
  CHECK(error() == "residual: the pointer is null");

  const Operator other = runtime.make_operator(
      parse_spec("other N=8 (z: f32[row]) { total = sum(z); out: f32 = mul(z, total) }"));
  CHECK(contains(usage_error([&] { other.launch(nullptr, RmsNormArguments{}, 1); }), "has a tensor 'out'"));
  const std::vector<ConstTensor> one{{x.data()}};
  const std::vector<MutableTensor> none;
  CHECK(usage_error([&] { other.launch(nullptr, one, none, 1); }) ==
        "0 output tensors were passed, this operator has 1");
}

TEST_CASE_FIXTURE(Fixture, "preparing and asking") {
  for (const std::int64_t count : {std::int64_t{0}, std::int64_t{-5}}) {
    CHECK(contains(usage_error([&] { op.prepare(std::vector{count}); }), "it must be at least 1"));
    CHECK(contains(usage_error([&] { op.prepare_up_to(count); }), "it must be at least 1"));
    CHECK(contains(usage_error([&] { op.choice(count); }), "it must be at least 1"));
  }
  CHECK(
      contains(usage_error([&] { op.prepare(std::vector{tokens}, {.alignment = 1}); }), "needs at least 2"));
  CHECK(contains(usage_error([&] { op.prepare(std::vector{tokens}, {.alignment = 24}); }), "power of two"));
  CHECK(contains(usage_error([&] { op.source(1, 0); }), "power of two"));
}

TEST_CASE_FIXTURE(Fixture, "operators that cannot be made") {
  CHECK(contains(usage_error([&] { runtime.rms_norm({.n = -1}); }), "n is -1, allowed is 0 to 2147483647"));
  CHECK(contains(usage_error([&] { runtime.make_operator(op.spec(), Fold{.leaf = 3}); }),
                 "leaf=3 must be a power of two"));
  Spec forged = op.spec();
  forged.inputs[0].name = "x) { asm(\"trap;\"); } (y";
  CHECK(usage_error([&] { runtime.make_operator(forged); }) != "");
  forged = op.spec();
  forged.n = -1;
  CHECK(usage_error([&] { runtime.make_operator(forged); }) != "");
  for (const int operand : {1000, -2, static_cast<int>(op.spec().nodes.size()) - 1}) {
    forged = op.spec();
    forged.nodes.back().a = operand;
    CHECK(usage_error([&] { runtime.make_operator(forged); }) != "");
  }
  forged = op.spec();
  forged.outputs[0].value = -1;
  CHECK(usage_error([&] { runtime.make_operator(forged); }) != "");
  forged = op.spec();
  forged.nodes[0].tensor = 3;
  CHECK(usage_error([&] { runtime.make_operator(forged); }) != "");
  forged = op.spec();
  for (int i = 0; i < 80; ++i) {  // printed as text, a sum of 2^80 terms
    const int last = static_cast<int>(forged.nodes.size()) - 1;
    forged.nodes.push_back({.op = Op::add, .a = last, .b = last});
  }
  forged.outputs[0].value = static_cast<int>(forged.nodes.size()) - 1;
  CHECK(usage_error([&] { runtime.make_operator(forged); }) != "");
}
