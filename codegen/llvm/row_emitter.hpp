#pragma once
#include <isofold/codegen/plan.hpp>

#include <llvm/IR/Module.h>

#include <memory>

namespace isofold {

/// Name of the function in every compiled CPU plan; its type is CpuKernel::Function.
inline constexpr const char* kernel_symbol = "isofold_rows";

/// The plan as an LLVM module: one function that runs a range of rows, each in two passes, the row's sum and
/// its outputs. Equal plans give equal modules.
std::unique_ptr<llvm::Module> emit_rows(llvm::LLVMContext& context, const Plan& plan);

}  // namespace isofold
