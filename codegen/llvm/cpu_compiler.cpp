#include <isofold/codegen/cpu_backend.hpp>

#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/raw_ostream.h>

#include "llvm_versions.hpp"
#include "row_emitter.hpp"
#include "target_machine.hpp"

namespace isofold {
namespace {

/// A plan's module and the machine that it is for.
class Compilation {
 public:
  explicit Compilation(const Plan& plan) : machine_(target_machine(plan.device())) {
    if (plan.is_gpu()) throw UsageError("the plan is for a GPU: a CPU plan is needed");
    module_ = emit_rows(context_, plan);
    module_->setTargetTriple(plan.device().triple);
    module_->setDataLayout(machine_->createDataLayout());
  }

  std::string ir() const {
    std::string text;
    llvm::raw_string_ostream stream(text);
    module_->print(stream, nullptr);
    return stream.str();
  }

  /// Changes the module: comes last.
  template <class FileType>
  std::string generate(FileType type) {
    llvm::SmallVector<char, 0> bytes;
    llvm::raw_svector_ostream stream(bytes);
    llvm::legacy::PassManager passes;
    if (machine_->addPassesToEmitFile(passes, stream, nullptr, type))
      throw InternalError("LLVM cannot write this kind of file for " + module_->getTargetTriple());
    passes.run(*module_);
    return {bytes.begin(), bytes.end()};
  }

 private:
  llvm::LLVMContext context_;
  std::unique_ptr<llvm::TargetMachine> machine_;
  std::unique_ptr<llvm::Module> module_;
};

}  // namespace

std::string cpu_ir(const Plan& plan) { return Compilation(plan).ir(); }

CpuCode compile_cpu(const Plan& plan) {
  Compilation compilation(plan);
  std::string ir = compilation.ir();
  return {std::move(ir), compilation.generate(versions::object_file)};
}

std::string cpu_assembly(const Plan& plan) { return Compilation(plan).generate(versions::assembly_file); }

}  // namespace isofold
