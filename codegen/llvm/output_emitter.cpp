#include "output_emitter.hpp"

#include <llvm/IR/Function.h>

#include "conversions.hpp"

namespace isofold {
namespace {

constexpr int cache_line = 64;


/// a0 b0 a1 b1 ...
llvm::Value* interleaved(Builder& builder, llvm::Value* a, llvm::Value* b) {
  Mask mask;
  for (int i = 0; i < width_of(a); ++i) {
    mask.push_back(i);
    mask.push_back(width_of(a) + i);
  }
  return shuffle(builder, a, b, mask);
}

}  // namespace

OutputEmitter::OutputEmitter(RowValues& row, int width, bool streaming)
    : row_(row),
      builder_(row.builder()),
      spec_(row.spec()),
      width_(width),
      streaming_(streaming),
      chunk_(4 * width) {
  int halves = 0;
  bool bytes = false;
  for (const Tensor& tensor : spec_.inputs)
    if (tensor.extent == Extent::row || tensor.extent == Extent::column) {
      halves += tensor.dtype == DType::f32 ? -1 : 1;
      bytes = bytes || size_of(tensor.dtype) == 1;
    }
  for (const Output& output : spec_.outputs) {
    if (output.extent == Extent::token) continue;
    outputs_.push_back(&output);
    halves += output.dtype == DType::f32 ? -1 : 1;
    bytes = bytes || size_of(output.dtype) == 1;
  }
  split_ = halves > 0 && !bytes;
}

void OutputEmitter::emit(const Pointers& pointers) {
  pointers_ = &pointers;
  for (std::size_t output = 0; output < spec_.outputs.size(); ++output)
    if (spec_.outputs[output].extent == Extent::token) store_number(output);
  if (outputs_.empty()) return;
  row_.hoist(width_);
  const std::int64_t looped = spec_.n / chunk_ * chunk_;
  if (!streaming_ || looped == 0) {
    chunks(looped, false);
  } else {
    llvm::Function* function = builder_.GetInsertBlock()->getParent();
    auto* aligned = llvm::BasicBlock::Create(builder_.getContext(), "streaming", function);
    auto* unaligned = llvm::BasicBlock::Create(builder_.getContext(), "cached", function);
    auto* rest = llvm::BasicBlock::Create(builder_.getContext(), "rest", function);
    builder_.CreateCondBr(all_aligned(), aligned, unaligned);
    for (auto* block : {aligned, unaligned}) {
      builder_.SetInsertPoint(block);
      chunks(looped, block == aligned);
      builder_.CreateBr(rest);
    }
    builder_.SetInsertPoint(rest);
  }
  // The rest, in loops of few turns over narrower vectors.
  std::int64_t done = looped;
  const auto cover = [&](int width, bool split) {
    const std::int64_t end = spec_.n - (spec_.n - done) % width;
    emit_loop(builder_, done, end, width, "tail", [&](llvm::Value* index) {
      piece({index, width, split, false});
    });
    done = end;
  };
  if (split_) cover(2 * width_, true);
  for (int width : {width_, 4, 1}) cover(width, false);
}

llvm::Value* OutputEmitter::all_aligned() {
  llvm::Value* bits = builder_.getInt64(0);
  for (const Output* output : outputs_)
    bits = builder_.CreateOr(bits, builder_.CreatePtrToInt(pointer_of(*output), builder_.getInt64Ty()));
  llvm::Value* low = builder_.CreateAnd(bits, builder_.getInt64(static_cast<std::uint64_t>(4 * width_ - 1)));
  return builder_.CreateICmpEQ(low, builder_.getInt64(0), "aligned");
}

void OutputEmitter::chunks(std::int64_t count, bool streaming) {
  emit_loop(builder_, 0, count, chunk_, streaming ? "stream" : "chunk", [&](llvm::Value* index) {
    fetch_ahead(index);
    const int width = split_ ? 2 * width_ : width_;
    for (int offset = 0; offset < chunk_; offset += width)
      piece({offset_by(builder_, index, offset), width, split_, streaming});
  });
}

void OutputEmitter::fetch_ahead(llvm::Value* first) {
  for (std::size_t tensor = 0; tensor < spec_.inputs.size(); ++tensor) {
    if (spec_.inputs[tensor].extent != Extent::row) continue;
    const DType dtype = spec_.inputs[tensor].dtype;
    const int line = cache_line / static_cast<int>(size_of(dtype));
    for (int offset = 0; offset < chunk_; offset += line) {
      llvm::Value* address =
          element_address(builder_, storage(builder_, dtype), pointers_->next_inputs[tensor],
                          offset_by(builder_, first, offset));
      constexpr int read = 0, keep = 3, data = 1;
      builder_.CreateIntrinsic(
          llvm::Intrinsic::prefetch, {address->getType()},
          {address, builder_.getInt32(read), builder_.getInt32(keep), builder_.getInt32(data)});
    }
  }
}

void OutputEmitter::piece(const Piece& piece) {
  const std::size_t vectors = piece.split ? 2 : 1;
  std::map<int, ValueList> loaded;
  std::vector<ValueList> bits(outputs_.size());
  for (std::size_t part = 0; part < vectors; ++part) {
    Elements elements(row_, piece.width / static_cast<int>(vectors), [&](int tensor) {
      ValueList& of_tensor = loaded[tensor];
      if (of_tensor.empty()) of_tensor = load(piece, tensor);
      return of_tensor[part];
    }, [&] {
      const int step = static_cast<int>(vectors);
      std::vector<std::uint32_t> offsets;
      for (int i = 0; i < piece.width / step; ++i) offsets.push_back(static_cast<std::uint32_t>(i * step) + static_cast<std::uint32_t>(part));
      llvm::Constant* steps = offsets.size() == 1 ? static_cast<llvm::Constant*>(builder_.getInt32(offsets[0]))
                                                  : llvm::ConstantDataVector::get(builder_.getContext(), offsets);
      llvm::Value* first = builder_.CreateTrunc(piece.first, builder_.getInt32Ty());
      return builder_.CreateAdd(splat(builder_, first, piece.width / step), steps);
    });
    for (std::size_t output = 0; output < outputs_.size(); ++output)
      bits[output].push_back(elements.stored(outputs_[output]->value, outputs_[output]->dtype));
  }
  for (std::size_t output = 0; output < outputs_.size(); ++output) store(piece, *outputs_[output], bits[output]);
}

ValueList OutputEmitter::load(const Piece& piece, int tensor) {
  const DType dtype = spec_.inputs[static_cast<std::size_t>(tensor)].dtype;
  llvm::Type* element = storage(builder_, dtype);
  llvm::Value* address =
      element_address(builder_, element, pointers_->inputs[static_cast<std::size_t>(tensor)], piece.first);
  const bool words = piece.split && dtype != DType::f32;
  llvm::Type* type =
      words ? vector_type(builder_.getInt32Ty(), piece.width / 2) : vector_type(element, piece.width);
  llvm::Value* memory = builder_.CreateAlignedLoad(type, address, llvm::Align(size_of(dtype)));
  ValueList parts;
  if (words)
    parts = {builder_.CreateAnd(memory, int_constant(type, 0xffff)),
             builder_.CreateLShr(memory, int_constant(type, 16))};
  else if (piece.split)
    parts = {every(builder_, memory, 0, 2, piece.width / 2), every(builder_, memory, 1, 2, piece.width / 2)};
  else
    parts = {builder_.CreateZExt(memory, vector_type(builder_.getInt32Ty(), piece.width))};
  for (llvm::Value*& part : parts) part = widen(builder_, part, dtype);
  return parts;
}

llvm::Value* OutputEmitter::pointer_of(const Output& output) const {
  return pointers_->outputs[static_cast<std::size_t>(&output - spec_.outputs.data())];
}

/// One number for the row.
void OutputEmitter::store_number(std::size_t output) {
  const DType dtype = spec_.outputs[output].dtype;
  llvm::Value* bits = narrow(builder_, row_.scalar(spec_.outputs[output].value), dtype);
  if (size_of(dtype) < 4) bits = builder_.CreateTrunc(bits, storage(builder_, dtype));
  builder_.CreateAlignedStore(bits, pointers_->outputs[output], llvm::Align(size_of(dtype)));
}

void OutputEmitter::store(const Piece& piece, const Output& output, const ValueList& bits) {
  const DType dtype = output.dtype;
  llvm::Type* element = storage(builder_, dtype);
  llvm::Value* memory = bits[0];
  if (piece.split && dtype == DType::f32)
    memory = interleaved(builder_, bits[0], bits[1]);
  else if (piece.split)
    memory = builder_.CreateOr(bits[0], builder_.CreateShl(bits[1], int_constant(bits[1]->getType(), 16)));
  else
    memory = builder_.CreateTrunc(bits[0], vector_type(element, piece.width));
  llvm::Value* address = element_address(builder_, element, pointer_of(output), piece.first);
  // Streaming stores come to addresses that are multiples of their own size, up to that of a vector.
  const std::uint64_t bytes = memory->getType()->getPrimitiveSizeInBits().getFixedValue() / 8;
  const auto alignment = piece.streaming ? std::min(static_cast<std::uint64_t>(4 * width_), bytes) : size_of(dtype);
  llvm::StoreInst* stored = builder_.CreateAlignedStore(memory, address, llvm::Align(alignment));
  if (!piece.streaming) return;
  llvm::Metadata* one = llvm::ConstantAsMetadata::get(builder_.getInt32(1));
  stored->setMetadata("nontemporal", llvm::MDNode::get(builder_.getContext(), {one}));
}

}  // namespace isofold
