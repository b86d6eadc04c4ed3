#include <isofold/codegen/cpu_backend.hpp>

#include <fmt/format.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/Object/ObjectFile.h>

#include <cmath>

#include "llvm_versions.hpp"
#include "row_emitter.hpp"
#include "target_machine.hpp"

namespace isofold {
namespace {

/// The value, or a UsageError that says which bytes were refused and why.
template <class T>
T checked(llvm::Expected<T> expected) {
  if (!expected) throw UsageError("not a compiled CPU kernel: " + llvm::toString(expected.takeError()));
  return std::move(*expected);
}

void check(llvm::Error error) {
  if (error) throw UsageError("not a compiled CPU kernel: " + llvm::toString(std::move(error)));
}

/// What LLVM calls for `fma` on a processor without the instruction. The C library's is exact, whatever the
/// name would resolve to in this process.
float exact_fma(float a, float b, float c) { return std::fma(a, b, c); }
double exact_wide_fma(double a, double b, double c) { return std::fma(a, b, c); }

llvm::orc::SymbolMap runtime_symbols(llvm::orc::LLJIT& jit) {
  llvm::orc::SymbolMap symbols;
  const auto define = [&](const char* name, llvm::orc::ExecutorAddr address) {
#if LLVM_VERSION_MAJOR >= 17
    const llvm::orc::ExecutorSymbolDef definition(address, llvm::JITSymbolFlags::Exported);
#else
    const llvm::JITEvaluatedSymbol definition(address.getValue(), llvm::JITSymbolFlags::Exported);
#endif
    symbols[jit.mangleAndIntern(name)] = definition;
  };
  define("fmaf", llvm::orc::ExecutorAddr::fromPtr(&exact_fma));
  define("fma", llvm::orc::ExecutorAddr::fromPtr(&exact_wide_fma));
  return symbols;
}

}  // namespace

struct CpuKernel::Code {
  std::unique_ptr<llvm::orc::LLJIT> jit;
};

CpuKernel::CpuKernel(const Plan& plan, std::string_view object) : code_(std::make_unique<Code>()) {
  if (plan.is_gpu() || !host_can_run(plan.device()))
    throw UsageError(fmt::format("the plan is for {} {}, this process runs on {} {}", plan.device().triple,
                                 plan.device().features, host_cpu_traits().triple,
                                 host_cpu_traits().features));
  const std::unique_ptr<llvm::TargetMachine> machine = target_machine(plan.device());
  auto bytes = llvm::MemoryBuffer::getMemBufferCopy({object.data(), object.size()}, kernel_symbol);
  const auto file = checked(llvm::object::ObjectFile::createObjectFile(bytes->getMemBufferRef()));
  if (file->getArch() != llvm::Triple(plan.device().triple).getArch() || !file->isRelocatableObject())
    throw UsageError("not a compiled CPU kernel: an object file of another kind or processor");

  llvm::orc::LLJITBuilder builder;
  builder.setJITTargetMachineBuilder(llvm::orc::JITTargetMachineBuilder(llvm::Triple(plan.device().triple)));
  builder.setDataLayout(machine->createDataLayout());
  builder.setPlatformSetUp(llvm::orc::setUpInactivePlatform);
  code_->jit = checked(builder.create());
  llvm::orc::LLJIT& jit = *code_->jit;
  check(jit.getMainJITDylib().define(llvm::orc::absoluteSymbols(runtime_symbols(jit))));
  check(jit.addObjectFile(std::move(bytes)));
  function_ = checked(jit.lookup(kernel_symbol)).template toPtr<Function*>();
}

CpuKernel::CpuKernel(CpuKernel&&) noexcept = default;
CpuKernel& CpuKernel::operator=(CpuKernel&&) noexcept = default;
CpuKernel::~CpuKernel() = default;

}  // namespace isofold
