#include <isofold/codegen/cpu_backend.hpp>
#include <isofold/codegen/rms_norm.hpp>

#include <doctest/doctest.h>

#include <string>

#include "support/error_text.hpp"

using namespace isofold;
using isofold::testing::contains;

namespace {

Plan plan_for(std::string_view target, const RmsNormOptions& options, const CpuSchedule& schedule) {
  const Spec spec = rms_norm(options);
  return make_plan(spec, default_fold(spec), schedule, cpu_traits(target)).value();
}

}  // namespace

TEST_CASE("the targets") {
  CHECK(llvm_version() != "");
  const DeviceTraits host = host_cpu_traits();
  CHECK(host.kind == DeviceTraits::Kind::cpu);
  CHECK(host.threads >= 1);
  CHECK(cpu_traits("cpu") == host);
  CHECK(cpu_traits("avx512").vector_width == 16);
  CHECK(cpu_traits("avx2").vector_width == 8);
  CHECK(cpu_traits("x86-64").vector_width == 4);
  CHECK(cpu_traits("aarch64").vector_width == 4);
  CHECK_THROWS_WITH_AS(cpu_traits("mips"), doctest::Contains("allowed are"), UsageError);
}

TEST_CASE("IR is the same for equal plans, and complete") {
  for (DType dtype : {DType::bf16, DType::f16, DType::f32}) {
    const RmsNormOptions options{.n = 1000, .dtype = dtype, .residual = true};
    const Plan plan = plan_for("avx2", options, {.width = 8, .streaming = true});
    const CpuCode code = compile_cpu(plan);
    CHECK(code.ir == cpu_ir(plan_for("avx2", options, {.width = 8, .streaming = true})));
    CHECK(code.ir != cpu_ir(plan_for("avx2", options, {.width = 4, .streaming = true})));
    CHECK(code.object == compile_cpu(plan).object);
    CHECK(contains(code.ir, "define void @isofold_rows(ptr %inputs, ptr %outputs, ptr %strides"));
  }
}

TEST_CASE("no IR with permission to change a bit") {
  for (DType dtype : {DType::bf16, DType::f16, DType::f32}) {
    const std::string ir =
        cpu_ir(plan_for("avx512", {.n = 520, .dtype = dtype, .residual = true}, {.width = 16}));
    for (const char* word : {" fast ", " contract ", " reassoc ", " nnan ", " nsz ", " arcp ", " afn ",
                             "fmuladd", "fptrunc", "fpext", "bfloat", "half"})
      CHECK_MESSAGE(!contains(ir, word), word);
  }
}

TEST_CASE("every target compiles, with the instructions of that target") {
  struct Case {
    const char* target;
    const char* fused;  // multiply-add of four lanes or more, or the call in its place
  };
  for (const Case& c :
       {Case{"x86-64", "fmaf"}, {"avx2", "vfmadd"}, {"avx512", "%zmm"}, {"aarch64", "fmla\tv"}})
    for (DType dtype : {DType::bf16, DType::f16, DType::f32})
      for (bool streaming : {false, true}) {
        const DeviceTraits device = cpu_traits(c.target);
        const RmsNormOptions options{
            .n = 1021, .dtype = dtype, .residual = true, .residual_mode = ResidualMode::rounded_sum};
        const Plan plan = plan_for(c.target, options, {.width = device.vector_width, .streaming = streaming});
        const std::string assembly = cpu_assembly(plan);
        CHECK_MESSAGE(contains(assembly, c.fused), c.target);
        // Conversions that flush subnormals or follow the thread's rounding mode.
        for (const char* name : {"vcvtneps2bf16", "vcvtps2ph", "vcvtph2ps", "bfcvt", "trunc"})
          CHECK_MESSAGE(!contains(assembly, name), name);
        CHECK(compile_cpu(plan).object.size() > 500);
      }
}

TEST_CASE("a kernel is loaded from the bytes of its object, and only from those") {
  const RmsNormOptions options{.n = 64};
  const Plan plan = plan_for("cpu", options, {.width = 4});
  const std::string object = compile_cpu(plan).object;
  CpuKernel kernel(plan, object);
  CHECK((kernel.function() != nullptr));
  CpuKernel moved = std::move(kernel);
  CHECK((moved.function() != nullptr));

  CHECK_THROWS_AS(CpuKernel(plan, ""), UsageError);
  CHECK_THROWS_AS(CpuKernel(plan, "no object file"), UsageError);
  for (std::size_t size : {std::size_t{1}, std::size_t{63}, object.size() / 2, object.size() - 1})
    CHECK_THROWS_AS(CpuKernel(plan, std::string_view(object).substr(0, size)), UsageError);
  std::string renamed = object;
  renamed.replace(renamed.find("isofold_rows"), 12, "isofold_Rows");
  CHECK_THROWS_AS(CpuKernel(plan, renamed), UsageError);

  const std::string foreign = host_cpu_traits().name == "aarch64" ? "x86-64" : "aarch64";
  const Plan foreign_plan = plan_for(foreign, options, {.width = 4});
  CHECK_THROWS_WITH_AS(CpuKernel(foreign_plan, compile_cpu(foreign_plan).object),
                       doctest::Contains("this process runs on"), UsageError);
  CHECK_THROWS_WITH_AS(CpuKernel(plan, compile_cpu(foreign_plan).object), doctest::Contains("another"),
                       UsageError);
}

TEST_CASE("a plan for a GPU is refused") {
  const Spec spec = rms_norm({.n = 1024});
  const Plan plan = make_plan(spec, default_fold(spec), GpuSchedule{}, *traits_of_arch("sm_90")).value();
  CHECK_THROWS_AS(compile_cpu(plan), UsageError);
  CHECK_THROWS_AS(cpu_ir(plan), UsageError);
  CHECK_THROWS_AS(CpuKernel(plan, ""), UsageError);
}
