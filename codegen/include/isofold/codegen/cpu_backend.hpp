#pragma once
#include <isofold/codegen/plan.hpp>
#include <isofold/export.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace ISOFOLD_API isofold {

/// Version of LLVM that the CPU backend was built with, for example "19.1.7"; empty when it was built
/// without. In that case every other function of this header throws UsageError.
std::string llvm_version();

/// The CPU of this process: one of the levels of `cpu_traits` (what the hardware and the operating system
/// both support), its width, and as many threads as the process may run on.
DeviceTraits host_cpu_traits();

/// Traits of "cpu" (the host), or of a target to emit code for without running it: "x86-64", "avx2", "avx512"
/// or "aarch64". Throws UsageError for other names.
DeviceTraits cpu_traits(std::string_view name);

/// What one CPU plan compiles to.
struct CpuCode {
  std::string ir;      // LLVM IR as text: byte-identical for plans with equal text
  std::string object;  // relocatable object file for the plan's target
};

/// Emits and compiles a CPU plan for any target of `cpu_traits`. Thread-safe.
CpuCode compile_cpu(const Plan& plan);
/// LLVM IR of a CPU plan, without compiling it. Thread-safe.
std::string cpu_ir(const Plan& plan);
/// Assembly of a CPU plan. Thread-safe.
std::string cpu_assembly(const Plan& plan);

/// A compiled CPU plan that can be run. Move-only; running it is thread-safe.
class CpuKernel {
 public:
  /// Computes rows first_row .. last_row - 1. `inputs` and `outputs` point at row 0 of each tensor in the
  /// Spec's order, aligned to their elements; `strides` are in elements: one for each input of extent row or
  /// token, then one for each output. An output may be the very buffer of an input with the same dtype and stride; other
  /// overlaps are not allowed. The caller's rounding mode must be to nearest, with subnormals kept
  /// (`FloatEnvironment` of the runtime).
  using Function = void(const void* const* inputs, void* const* outputs, const std::int64_t* strides,
                        std::int64_t first_row, std::int64_t last_row);

  /// Loads `object`, which compile_cpu made from `plan` now or earlier (a cache). Throws UsageError when the
  /// plan's target is not what this process runs on, or when the bytes are not an object file with the kernel
  /// in it. Code that was changed inside a well-formed object cannot be told from the right one: verify
  /// stored bytes first.
  CpuKernel(const Plan& plan, std::string_view object);
  explicit CpuKernel(const Plan& plan) : CpuKernel(plan, compile_cpu(plan).object) {}
  CpuKernel(CpuKernel&&) noexcept;
  CpuKernel& operator=(CpuKernel&&) noexcept;
  ~CpuKernel();

  Function* function() const { return function_; }
  void operator()(const void* const* inputs, void* const* outputs, const std::int64_t* strides,
                  std::int64_t first_row, std::int64_t last_row) const {
    function_(inputs, outputs, strides, first_row, last_row);
  }

 private:
  struct Code;
  std::unique_ptr<Code> code_;
  Function* function_ = nullptr;
};

}  // namespace isofold
