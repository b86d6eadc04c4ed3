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
  Tensors(Builder& builder, const Spec& spec, llvm::Function* function) : builder_(builder), n_(spec.n) {
    std::uint64_t strides = 0;
    const auto read = [&](unsigned list, std::size_t index, llvm::Type* type, const std::string& name) {
      llvm::Value* place = builder.CreateConstGEP1_64(type, function->getArg(list), index);
      return builder.CreateLoad(type, place, name);
    };
    const auto add = [&](unsigned list, std::size_t index, const auto& tensor) {
      llvm::Value* base = read(list, index, builder.getPtrTy(), tensor.name);
      llvm::Value* stride = has_stride(tensor.extent) ? read(2, strides++, builder.getInt64Ty(), tensor.name + ".stride") : nullptr;
      return Tensor{base, stride, tensor.name, storage(builder, tensor.dtype), tensor.groups};
    };
    for (std::size_t i = 0; i < spec.inputs.size(); ++i) inputs_.push_back(add(0, i, spec.inputs[i]));
    for (std::size_t i = 0; i < spec.outputs.size(); ++i) outputs_.push_back(add(1, i, spec.outputs[i]));
  }

  ValueList inputs(llvm::Value* row, const char* suffix) { return pointers(inputs_, row, suffix); }
  ValueList outputs(llvm::Value* row, const char* suffix) { return pointers(outputs_, row, suffix); }

 private:
  struct Tensor {
    llvm::Value* base;
    llvm::Value* stride;  // null for columns and scalars
    std::string name;
    llvm::Type* element;
    int groups;           // rows that lie together
  };

  llvm::Value* offset(const Tensor& tensor, llvm::Value* row) {
    if (tensor.groups == 1) return builder_.CreateMul(row, tensor.stride);
    llvm::Value* groups = builder_.getInt64(static_cast<std::uint64_t>(tensor.groups));
    llvm::Value* inside = builder_.CreateMul(builder_.CreateURem(row, groups), builder_.getInt64(static_cast<std::uint64_t>(n_)));
    if (!tensor.stride) return inside;
    return builder_.CreateAdd(builder_.CreateMul(builder_.CreateUDiv(row, groups), tensor.stride), inside);
  }

  ValueList pointers(const std::vector<Tensor>& tensors, llvm::Value* row, const char* suffix) {
    ValueList result;
    for (const Tensor& tensor : tensors) {
      llvm::Value* pointer = tensor.base;
      if (tensor.stride || tensor.groups > 1) {
        pointer = element_address(builder_, tensor.element, tensor.base, offset(tensor, row));
        pointer->setName(tensor.name + suffix);
      }
      result.push_back(pointer);
    }
    return result;
  }

  Builder& builder_;
  std::int64_t n_;
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
                                           [](const Tensor& tensor) { return tensor.extent == Extent::token || tensor.extent == Extent::scalar; });
  llvm::Value* last_row = function->getArg(4);
  emit_loop(builder, function->getArg(3), last_row, 1, "row", [&](llvm::Value* row) {
    OutputEmitter::Pointers pointers{tensors.inputs(row, ".row"), tensors.outputs(row, ".row"), {}};
    row_values.emit_before_passes([&](int tensor, llvm::Value* place) {
      const DType dtype = spec.inputs[static_cast<std::size_t>(tensor)].dtype;
      llvm::Value* address = element_address(builder, storage(builder, dtype), pointers.inputs[static_cast<std::size_t>(tensor)],
                                             builder.CreateSExt(place, builder.getInt64Ty()));
      llvm::Value* bits = builder.CreateAlignedLoad(storage(builder, dtype), address, llvm::Align(size_of(dtype)));
      if (size_of(dtype) < 4) bits = builder.CreateZExt(bits, builder.getInt32Ty());
      return dtype == DType::i32 ? bits : widen(builder, bits, dtype);
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
