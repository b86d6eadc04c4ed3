#include "row_emitter.hpp"

#include <llvm/IR/Dominators.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Transforms/Utils/PromoteMemToReg.h>

#include <algorithm>

#include "conversions.hpp"
#include "expressions.hpp"
#include "fold_emitter.hpp"
#include "output_emitter.hpp"

namespace isofold {
namespace {

llvm::Function* declare(llvm::Module& module, const CpuSchedule& schedule) {
  llvm::LLVMContext& context = module.getContext();
  llvm::Type* pointer = llvm::PointerType::get(context, 0);
  llvm::Type* integer = llvm::Type::getInt64Ty(context);
  auto* type = llvm::FunctionType::get(llvm::Type::getVoidTy(context),
                                       {pointer, pointer, pointer, integer, integer}, false);
  auto* function = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, kernel_symbol, module);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  // AVX-512: really use registers of the schedule's width.
  const std::string bits = std::to_string(32 * schedule.width);
  function->addFnAttr("prefer-vector-width", bits);
  function->addFnAttr("min-legal-vector-width", bits);
  const char* names[] = {"inputs", "outputs", "strides", "first_row", "last_row"};
  for (llvm::Argument& argument : function->args()) argument.setName(names[argument.getArgNo()]);
  return function;
}

/// Base pointers and row strides of the tensors, read once for all rows.
class Tensors {
 public:
  Tensors(Builder& builder, const Spec& spec, llvm::Function* function) : builder_(builder) {
    std::uint64_t strides = 0;
    const auto read = [&](unsigned list, std::size_t index, llvm::Type* type, const std::string& name) {
      llvm::Value* place = builder.CreateConstGEP1_64(type, function->getArg(list), index);
      return builder.CreateLoad(type, place, name);
    };
    const auto add = [&](unsigned list, std::size_t index, const std::string& name, DType dtype, bool row) {
      llvm::Value* base = read(list, index, builder.getPtrTy(), name);
      llvm::Value* stride = row ? read(2, strides++, builder.getInt64Ty(), name + ".stride") : nullptr;
      return Tensor{base, stride, name, storage(builder, dtype)};
    };
    for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
      const auto& input = spec.inputs[i];
      inputs_.push_back(add(0, i, input.name, input.dtype, input.extent != Extent::column));
    }
    for (std::size_t i = 0; i < spec.outputs.size(); ++i)
      outputs_.push_back(add(1, i, spec.outputs[i].name, spec.outputs[i].dtype, true));
  }

  ValueList inputs(llvm::Value* row, const char* suffix) { return pointers(inputs_, row, suffix); }
  ValueList outputs(llvm::Value* row, const char* suffix) { return pointers(outputs_, row, suffix); }

 private:
  struct Tensor {
    llvm::Value* base;
    llvm::Value* stride;  // null for column tensors
    std::string name;
    llvm::Type* element;
  };

  ValueList pointers(const std::vector<Tensor>& tensors, llvm::Value* row, const char* suffix) {
    ValueList result;
    for (const Tensor& tensor : tensors) {
      llvm::Value* pointer = tensor.base;
      if (tensor.stride) {
        llvm::Value* offset = builder_.CreateMul(row, tensor.stride);
        pointer = element_address(builder_, tensor.element, tensor.base, offset);
        pointer->setName(tensor.name + suffix);
      }
      result.push_back(pointer);
    }
    return result;
  }

  Builder& builder_;
  std::vector<Tensor> inputs_;
  std::vector<Tensor> outputs_;
};

}  // namespace

std::unique_ptr<llvm::Module> emit_rows(llvm::LLVMContext& context, const Plan& plan) {
  const Spec& spec = plan.spec();
  const CpuSchedule& schedule = plan.cpu();
  auto module = std::make_unique<llvm::Module>(text(plan), context);  // the first line of the printed module
  module->setSourceFileName("isofold");
  llvm::Function* function = declare(*module, schedule);
  Builder builder(llvm::BasicBlock::Create(context, "entry", function));
  Tensors tensors(builder, spec, function);
  RowValues row_values(builder, spec);
  row_values.emit_constants();
  FoldEmitter fold(row_values, plan.fold(), schedule.width);
  OutputEmitter outputs(row_values, schedule.width, schedule.streaming);
  const bool has_token_input = std::any_of(spec.inputs.begin(), spec.inputs.end(),
                                           [](const Tensor& tensor) { return tensor.extent == Extent::token; });
  llvm::Value* last_row = function->getArg(4);
  emit_loop(builder, function->getArg(3), last_row, 1, "row", [&](llvm::Value* row) {
    OutputEmitter::Pointers pointers{tensors.inputs(row, ".row"), tensors.outputs(row, ".row"), {}};
    row_values.emit_before_passes([&](int tensor) {
      const DType dtype = spec.inputs[static_cast<std::size_t>(tensor)].dtype;
      llvm::Value* bits = builder.CreateAlignedLoad(storage(builder, dtype), pointers.inputs[static_cast<std::size_t>(tensor)],
                                                    llvm::Align(size_of(dtype)));
      return dtype == DType::i32 ? bits : widen(builder, builder.CreateZExt(bits, builder.getInt32Ty()), dtype);
    });
    int done = 0;
    for (const std::vector<int>& pass : passes(spec)) {
      if (done > 0 || has_token_input) row_values.hoist(std::min(schedule.width, plan.fold().lanes));
      std::map<int, llvm::Value*> results;
      for (const int node : pass) results[node] = fold.reduce(node, pointers.inputs);
      row_values.emit_after_pass(++done, std::move(results));
    }
    llvm::Value* next = offset_by(builder, row, 1);
    next = builder.CreateSelect(builder.CreateICmpSLT(next, last_row), next, row, "next_row");
    pointers.next_inputs = tensors.inputs(next, ".next");
    outputs.emit(pointers);
  });
  if (schedule.streaming) builder.CreateFence(llvm::AtomicOrdering::SequentiallyConsistent);
  builder.CreateRetVoid();

  llvm::DominatorTree dominators(*function);
  llvm::PromoteMemToReg(fold.promotable(), dominators);
  std::string complaint;
  llvm::raw_string_ostream stream(complaint);
  if (llvm::verifyModule(*module, &stream))
    throw InternalError("LLVM rejects the module of " + text(plan) + ": " + stream.str());
  return module;
}

}  // namespace isofold
