#pragma once
#include <isofold/codegen/plan.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arguments.hpp"

namespace isofold {

/// What a plan compiles to, with all that led there: the same for every process.
struct KernelImage {
  std::string name;                  // for files and messages: <op>-<digest of the plan>
  std::string source;                // CUDA source, or LLVM IR
  std::string ptx;                   // GPU alone
  std::string code;                  // cubin, or object file
  std::string usage;                 // GPU alone: registers and memory, as ptxas reports them
  std::vector<std::string> entries;  // GPU alone: kernels in launch order
};

/// A plan, compiled and loaded where it runs. Immutable and thread-safe.
class Kernel {
 public:
  Kernel(const Plan& plan, std::shared_ptr<const KernelImage> image)
      : plan_(plan), image_(std::move(image)) {}
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  virtual ~Kernel() = default;

  const Plan& plan() const { return plan_; }
  const KernelImage& image() const { return *image_; }

  /// Bytes of workspace that a launch over `tokens` rows needs; 0 unless the plan splits rows through one.
  std::size_t workspace_bytes(std::int64_t tokens) const { return isofold::workspace_bytes(plan_, tokens); }

  /// Runs or enqueues rows 0 .. tokens - 1 (tokens >= 1). `parameters` have been bound for the plan's Spec
  /// and for these tokens, and their alignment allows the plan's vector. Does not allocate or wait for the
  /// device. Throws UsageError when there are too many tokens for the plan's grid or when the driver refuses.
  virtual void launch(CUstream_st* stream, const Parameters& parameters, std::int64_t tokens,
                      void* workspace = nullptr) const = 0;

 private:
  Plan plan_;
  std::shared_ptr<const KernelImage> image_;
};

}  // namespace isofold
