#include <isofold/codegen/cpu_backend.hpp>
#include <isofold/codegen/rms_norm.hpp>

#include <doctest/doctest.h>

using namespace isofold;

TEST_CASE("without LLVM every function of the CPU backend says what is missing") {
  const Spec spec = rms_norm({.n = 64});
  DeviceTraits device;
  device.kind = DeviceTraits::Kind::cpu;
  const Plan plan = make_plan(spec, default_fold(spec), CpuSchedule{.width = 4}, device).value();
  const auto hint = doctest::Contains("Install LLVM");
  CHECK(llvm_version() == "");
  CHECK_THROWS_WITH_AS(host_cpu_traits(), hint, UsageError);
  CHECK_THROWS_WITH_AS(cpu_traits("avx2"), hint, UsageError);
  CHECK_THROWS_WITH_AS(compile_cpu(plan), hint, UsageError);
  CHECK_THROWS_WITH_AS(cpu_ir(plan), hint, UsageError);
  CHECK_THROWS_WITH_AS(cpu_assembly(plan), hint, UsageError);
  CHECK_THROWS_WITH_AS(CpuKernel(plan, ""), hint, UsageError);
}
