#include "ir.hpp"

#include <llvm/IR/Function.h>

namespace isofold {

llvm::Type* vector_type(llvm::Type* element, int width) {
  return width == 1 ? element : llvm::FixedVectorType::get(element, static_cast<unsigned>(width));
}

int width_of(const llvm::Value* value) {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(value->getType());
  return vector ? static_cast<int>(vector->getNumElements()) : 1;
}

llvm::Value* float_constant(llvm::Type* type, double value) {
  return llvm::ConstantFP::get(type, value);
}

llvm::Value* int_constant(llvm::Type* type, std::uint64_t value) {
  return llvm::ConstantInt::get(type, value);
}

llvm::Value* splat(Builder& builder, llvm::Value* value, int width) {
  return width == 1 ? value : builder.CreateVectorSplat(static_cast<unsigned>(width), value);
}

llvm::Value* as_bits(Builder& builder, llvm::Value* floats) {
  return builder.CreateBitCast(floats, vector_type(builder.getIntNTy(floats->getType()->getScalarSizeInBits()), width_of(floats)));
}

llvm::Value* as_floats(Builder& builder, llvm::Value* bits) {
  const bool wide = bits->getType()->getScalarSizeInBits() == 64;
  return builder.CreateBitCast(bits, vector_type(wide ? builder.getDoubleTy() : builder.getFloatTy(), width_of(bits)));
}

llvm::Value* shuffle(Builder& builder, llvm::Value* a, llvm::Value* b, const Mask& mask) {
  return builder.CreateShuffleVector(a, b, llvm::ArrayRef<int>(mask.data(), mask.size()));
}

llvm::Value* every(Builder& builder, llvm::Value* value, int first, int step, int count) {
  if (count == 1) return builder.CreateExtractElement(value, static_cast<std::uint64_t>(first));
  Mask mask;
  for (int i = 0; i < count; ++i) mask.push_back(first + i * step);
  return shuffle(builder, value, value, mask);
}

llvm::Value* concatenated(Builder& builder, ValueList vectors) {
  while (vectors.size() > 1) {
    Mask mask;
    for (int i = 0; i < 2 * width_of(vectors[0]); ++i) mask.push_back(i);
    ValueList pairs;
    for (std::size_t i = 0; i < vectors.size(); i += 2)
      pairs.push_back(shuffle(builder, vectors[i], vectors[i + 1], mask));
    vectors = pairs;
  }
  return vectors[0];
}

llvm::Value* element_address(Builder& builder, llvm::Type* element, llvm::Value* base, llvm::Value* index) {
  return builder.CreateGEP(element, base, index);
}

llvm::Value* offset_by(Builder& builder, llvm::Value* index, std::int64_t offset) {
  return offset == 0 ? index : builder.CreateAdd(index, builder.getInt64(static_cast<std::uint64_t>(offset)));
}

llvm::AllocaInst* local_array(Builder& builder, llvm::Type* element, std::int64_t count, const char* name) {
  llvm::BasicBlock& entry = builder.GetInsertBlock()->getParent()->getEntryBlock();
  Builder at_entry(&entry, entry.begin());
  llvm::Type* type = count == 1 ? element : llvm::ArrayType::get(element, static_cast<std::uint64_t>(count));
  llvm::AllocaInst* array = at_entry.CreateAlloca(type, nullptr, name);
  array->setAlignment(llvm::Align(128));  // of the widest vector, 16 binary64
  return array;
}

void emit_loop(Builder& builder, llvm::Value* first, llvm::Value* last, std::int64_t step, const char* name,
               llvm::function_ref<void(llvm::Value*)> body) {
  llvm::LLVMContext& context = builder.getContext();
  llvm::Function* function = builder.GetInsertBlock()->getParent();
  const std::string title = name;
  auto* before = builder.GetInsertBlock();
  auto* loop = llvm::BasicBlock::Create(context, title, function);
  auto* done = llvm::BasicBlock::Create(context, title + ".done", function);
  llvm::Value* any = builder.CreateICmpSLT(first, last);
  if (llvm::isa<llvm::Constant>(any))
    builder.CreateBr(loop);  // constant bounds: checked by the caller
  else
    builder.CreateCondBr(any, loop, done);
  builder.SetInsertPoint(loop);
  llvm::PHINode* index = builder.CreatePHI(first->getType(), 2, title + ".index");
  index->addIncoming(first, before);
  body(index);
  llvm::Value* next = offset_by(builder, index, step);
  index->addIncoming(next, builder.GetInsertBlock());
  builder.CreateCondBr(builder.CreateICmpSLT(next, last), loop, done);
  builder.SetInsertPoint(done);
}

void emit_loop(Builder& builder, std::int64_t first, std::int64_t last, std::int64_t step, const char* name,
               llvm::function_ref<void(llvm::Value*)> body) {
  llvm::Value* begin = builder.getInt64(static_cast<std::uint64_t>(first));
  if (first >= last) return;
  if (first + step >= last) return body(begin);
  emit_loop(builder, begin, builder.getInt64(static_cast<std::uint64_t>(last)), step, name, body);
}

}  // namespace isofold
