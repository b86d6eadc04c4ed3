#pragma once
#include <isofold/codegen/plan.hpp>
#include <isofold/export.hpp>

#include <string>
#include <utility>
#include <vector>

namespace ISOFOLD_API isofold {

/// What one generated translation unit holds, and how to launch it.
struct CudaSource {
  std::string text;                  // complete .cu text, includes nothing
  std::vector<std::string> entries;  // kernels in launch order: one, or one more than passes for Split::workspace
  std::string program_name;          // for compiler messages, for example rms_norm-<digest>.cu
  /// (name, pasted text) of the device helper functions that the kernel uses; each stands in `text` as it is here.
  std::vector<std::pair<std::string, std::string>> helpers;
};

/// Kernel parameters, in order: a pointer per input, a pointer per output, a row stride in elements (int64) per
/// row-extent input and per output, the number of tokens (int64), and for Split::workspace a pointer to `workspace_bytes`
/// of memory. Byte-identical for plans with equal text, in every process. The plan must
/// be a GPU plan. Thread-safe. Throws UsageError when ISOFOLD_TEMPLATES points at templates that are not usable.
CudaSource emit_cuda(const Plan& plan);

/// Uses the templates of `folder` instead of the embedded ones; empty: embedded. Process-wide, for debugging.
void use_template_folder(const std::string& folder);

/// Names in PTX that would break the numerics rules (approximate or flushing instructions, contracted or unrounded
/// arithmetic, float atomics): one line "line N: text" for each, empty for clean PTX.
std::vector<std::string> lint_ptx(const std::string& ptx);

}  // namespace isofold
