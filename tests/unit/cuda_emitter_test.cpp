#include <doctest/doctest.h>

#include <isofold/codegen/device_traits.hpp>
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/operators.hpp>
#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/cuda_emitter.hpp>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/error.hpp>

#include <filesystem>
#include <fstream>

#include "support/temporary_folder.hpp"
#include "template_text.hpp"

using namespace isofold;

namespace {

std::vector<Plan> some_plans() {
  std::vector<Plan> out;
  for (const std::int64_t n : {7, 515, 4096}) {
    RmsNormOptions options;
    options.n = n;
    options.residual = true;
    const Spec spec = rms_norm(options);
    for (const char* arch : {"sm_80", "sm_90"})
      for (const Plan& plan : candidates(spec, default_fold(spec), *traits_of_arch(arch))) out.push_back(plan);
  }
  return out;
}

}  // namespace

TEST_CASE("equal plans give equal texts, other plans other texts") {
  std::string last;
  for (const Plan& plan : some_plans()) {
    const CudaSource source = emit_cuda(plan);
    CHECK(source.text == emit_cuda(plan).text);
    CHECK(source.text != last);
    last = source.text;
  }
}

TEST_CASE("generated text is complete and holds just what it uses") {
  for (const Plan& plan : some_plans()) {
    const std::string text = emit_cuda(plan).text;
    CAPTURE(text);
    CHECK(text.find('@') == std::string::npos);
    CHECK(text.find("#include") == std::string::npos);
    CHECK(text.find(isofold::text(plan.gpu())) != std::string::npos);
    CHECK(text.find(bits_id(plan.spec(), plan.fold())) != std::string::npos);
    for (const auto& [name, pasted] : emit_cuda(plan).helpers) {
      const auto first = text.find(pasted);
      REQUIRE(first != std::string::npos);
      CHECK(text.find(name + "(", first + pasted.size()) != std::string::npos);  // used after its definition
    }
  }
}

TEST_CASE("a kernel reads the sums of the workspace that it uses, and no others") {
  const Spec spec = parse_spec("variance N=8192 (x: bf16[row]) { mean = div(sum(x), N); d = sub(x, mean); y: f32 = div(sum(mul(d, d)), N) }");
  const GpuSchedule schedule{.threads_per_row = 128, .blocks_per_row = 4, .split = Split::workspace, .staging = Staging::reread, .vector = 8};
  const std::string text = emit_cuda(make_plan(spec, {8, 32, 16}, schedule, traits_of_arch("sm_90").value()).value()).text;
  const std::string second = text.substr(text.find("isofold_variance_partial_sums_2("));
  const std::string outputs = second.substr(second.find("isofold_variance_outputs("));
  CHECK(second.substr(0, second.size() - outputs.size()).find("const float mean = ") != std::string::npos);
  CHECK(outputs.find("block_sums_2") != std::string::npos);
  CHECK(outputs.find("block_sums =") == std::string::npos);
  CHECK(outputs.find("mean") == std::string::npos);
}

TEST_CASE("calls of a thread's only leaf wait in shared memory without a number of the leaf") {
  const Spec spec = parse_spec("soft N=1024 (x: bf16[row]) { z = exp(sub(x, reduce_max(x))); y: bf16 = div(z, sum(z)) }");
  const GpuSchedule schedule{.threads_per_row = 128, .vector = 8, .shared_calls = 1};
  const std::string text = emit_cuda(make_plan(spec, {8, 32, 4}, schedule, traits_of_arch("sm_90").value()).value()).text;
  CHECK(text.find("kept + (0 * (LEAF / 4) + p)") != std::string::npos);
  CHECK(text.find("kept + (i *") == std::string::npos);  // there is no loop that declares it
}

TEST_CASE("f32 results keep a NaN as arithmetic gives it, where no compiler can leave the arithmetic out") {
  const auto packs = [](const std::string& value, const std::string& other = "") {
    const std::string inputs = value.find('v') == value.npos && other.empty() ? "x: f32[row]" : "x: f32[row], v: f32[column]";
    const Spec spec = parse_spec("t N=64 (" + inputs + ") { " + other + "y: f32 = " + value + " }");
    const std::string text = emit_cuda(candidates(spec, default_fold(spec), *traits_of_arch("sm_90")).at(0)).text;
    const bool as_it_is = text.find("= __float_as_uint(y_values[e])") != text.npos, packed = text.find("= pack_f32(y_values[e])") != text.npos;
    CHECK(as_it_is != packed);
    return packed;
  };
  CHECK(packs("mul(x, v)", "both: bf16 = add(x, v); "));
  for (const char* value : {"mul(x, v)", "add(x, v)", "sub(x, v)", "fma(x, x, v)", "mul(x, neg(v))"}) CHECK_FALSE(packs(value));
  for (const char* value : {"x", "neg(x)", "abs(mul(x, v))", "mul(x, 1)", "add(0, x)", "fma(x, 1, v)", "mul(x, fma(2, 3, 4))", "max(x, v)",
                            "where(less(x, v), x, v)", "from_bits(bits(x))", "div(x, v)"})
    CHECK(packs(value));
}

TEST_CASE("markers are checked") {
  CHECK(fill_template("store_16", {{"suffix", "_x"}, {"qualifier", ".cs"}}).find("store_16_x(") != std::string::npos);
  CHECK_THROWS_AS(fill_template("store_16", {{"suffix", "_x"}}), InternalError);
  CHECK_THROWS_AS(fill_template("store_16", {{"suffix", "_x"}, {"qualifier", ""}, {"other", ""}}), InternalError);
  CHECK_THROWS_AS(fill_template("no_such_template", {}), InternalError);
}

TEST_CASE("a folder of templates replaces the embedded ones, and its mistakes are the user's") {
  const Plan plan = some_plans().front();
  const std::string embedded = emit_cuda(plan).text;
  const isofold::testing::TemporaryFolder folder;
  std::filesystem::copy(ISOFOLD_TEMPLATE_FOLDER, folder.path());
  use_template_folder(folder.path());
  CHECK(emit_cuda(plan).text == embedded);
  std::ofstream(folder / "halve.cu.in", std::ios::app) << "// edited\n";
  std::ofstream(folder / "kernel.cu.in", std::ios::app) << "@mistake@\n";
  CHECK_THROWS_AS(emit_cuda(plan), UsageError);
  use_template_folder("");
  CHECK(emit_cuda(plan).text == embedded);
}

TEST_CASE("every named operator has one text for a plan, however often it is asked for") {
  for (const NamedOperator& named : named_operators()) {
    CAPTURE(named.name);
    const Spec spec = named.make(8192, DType::f32);
    for (const Plan& plan : candidates(spec, default_fold(spec), traits_of_arch("sm_90").value())) {
      const std::string first = emit_cuda(plan).text;
      for (int again = 0; again < 3; ++again) REQUIRE(emit_cuda(plan).text == first);
    }
  }
}

TEST_CASE("the PTX lint finds what would change a bit, and only that") {
  CHECK(lint_ptx("  add.rn.f32 %f1, %f2, %f3;\n  fma.rn.f32 %f1, %f2, %f3, %f4;\n  mad.lo.s32 %r1, %r2, %r3, %r4;\n").empty());
  CHECK(lint_ptx("  cvt.rn.bf16x2.f32 %r1, %f1, %f2; // ex2.approx in a comment\n  atom.global.add.u32 %r1, [%rd1], 1;\n").empty());
  CHECK(lint_ptx("  rcp.rn.f32 %f1, %f2;\n  sqrt.rn.f32 %f1, %f2;\n  div.rn.f32 %f1, %f2, %f3;\n").empty());
  CHECK(lint_ptx("  max.NaN.f32 %f1, %f2, %f3;\n  min.NaN.bf16x2 %r1, %r2, %r3;\n  redux.sync.max.s32 %r1, %r2, %r3;\n  cvt.rn.f32.u16 %f1, %rs1;\n").empty());
  for (const char* bad : {"max.ftz.f32 %f1, %f2, %f3;", "min.f32 %f1, %f2, 0f00000000;", "max.bf16x2 %r1, %r2, %r3;", "max.f32 %f1, %f2, %f3;", "ex2.approx.f32 %f1, %f2;", "add.ftz.f32 %f1, %f2, %f3;", "mad.rn.f32 %f1, %f2, %f3, %f4;",
                          "@%p1 add.f32 %f1, %f2, %f3;", "mul.f32 %f1, %f2, %f3;", "red.global.add.f32 [%rd1], %f1;",
                          "atom.global.add.f32 %f1, [%rd1], %f1;", "div.full.f32 %f1, %f2, %f3;", "fma.f32 %f1, %f2, %f3, %f4;",
                          "add.rz.f32 %f1, %f2, %f3;", "fma.rm.f32 %f1, %f2, %f3, %f4;", "rcp.rz.f32 %f1, %f2;",
                          "cvt.rz.f16.f32 %h1, %f1;", "add.rn.sat.f32 %f1, %f2, %f3;", "cvt.rn.satfinite.bf16x2.f32 %r1, %f1, %f2;",
                          "fma.rn.f16 %h1, %h2, %h3, %h4;", "mul.f64 %d1, %d2, %d3;",
                          "{ add.f32 %f1, %f2, %f3; }", "mov.b32 %r1, %r2; mul.f32 %f1, %f2, %f3;", "@!%q add.f32 %f1, %f2, %f3;",
                          "$L__BB0_2: add.f32 %f1, %f2, %f3;", "$L1: @%p2 mul.f32 %f1, %f2, %f3;", "setp.lt.and.ftz.f32 %p1, %f1, %f2, %p2;"})
    CHECK(lint_ptx(std::string("\t") + bad + "\n").size() == 1);
}
