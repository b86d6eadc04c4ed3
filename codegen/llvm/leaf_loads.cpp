#include "leaf_loads.hpp"

#include <algorithm>

#include "conversions.hpp"

namespace isofold {
namespace {

constexpr int part_bytes = 16;  // what shuffles within a register do not cross

/// In every 128-bit part: the low or high half of a's words and b's words alternating, in units of `words`
/// words.
Mask unpack_mask(int width, int words, bool high) {
  Mask mask;
  for (int part = 0; part < width; part += 4)
    for (int unit = 0; unit < 4 / words; ++unit)
      for (int word = 0; word < words; ++word) {
        const int from = part + (high ? 2 : 0) + unit / 2 * words + word;
        mask.push_back(unit % 2 == 0 ? from : width + from);
      }
  return mask;
}

/// Four registers of rows a, b, c, d to four registers of words, in every 128-bit part by itself.
ValueList transposed(Builder& builder, const ValueList& rows) {
  const int width = width_of(rows[0]);
  const auto unpack = [&](llvm::Value* a, llvm::Value* b, int words, bool high) {
    return shuffle(builder, a, b, unpack_mask(width, words, high));
  };
  llvm::Value* ab_low = unpack(rows[0], rows[1], 1, false);
  llvm::Value* ab_high = unpack(rows[0], rows[1], 1, true);
  llvm::Value* cd_low = unpack(rows[2], rows[3], 1, false);
  llvm::Value* cd_high = unpack(rows[2], rows[3], 1, true);
  return {unpack(ab_low, cd_low, 2, false), unpack(ab_low, cd_low, 2, true),
          unpack(ab_high, cd_high, 2, false), unpack(ab_high, cd_high, 2, true)};
}

}  // namespace

LeafLoads::LeafLoads(Builder& builder, const Spec& spec, const Fold& fold, int width, ValueList pointers)
    : builder_(builder), spec_(spec), leaf_(fold.leaf), width_(width), pointers_(std::move(pointers)) {
  bool transposes = false;
  for (std::size_t tensor = 0; tensor < spec.inputs.size(); ++tensor)
    if (spec.inputs[tensor].extent == Extent::row || spec.inputs[tensor].extent == Extent::column) transposes = transposes || leaf_bytes(static_cast<int>(tensor)) >= part_bytes;
  for (int position = 0; position < width; ++position)
    lane_at_.push_back(transposes && width >= 4 ? width / 4 * (position % 4) + position / 4 : position);
}

int LeafLoads::leaf_bytes(int tensor) const {
  return leaf_ * static_cast<int>(size_of(spec_.inputs[static_cast<std::size_t>(tensor)].dtype));
}

llvm::Type* LeafLoads::storage(int tensor) {
  return isofold::storage(builder_, spec_.inputs[static_cast<std::size_t>(tensor)].dtype);
}

llvm::Value* LeafLoads::loaded(int tensor, llvm::Type* type, llvm::Value* first, int offset) {
  llvm::Type* element = storage(tensor);
  llvm::Value* base = pointers_[static_cast<std::size_t>(tensor)];
  llvm::Value* address = element_address(builder_, element, base, offset_by(builder_, first, offset));
  return builder_.CreateAlignedLoad(type, address, llvm::Align(element->getIntegerBitWidth() / 8));
}

llvm::Value* LeafLoads::part(int tensor, llvm::Value* first, int offset, int count) {
  llvm::Type* words = vector_type(builder_.getInt32Ty(), 4);
  llvm::Type* element = storage(tensor);
  const int elements = part_bytes * 8 / static_cast<int>(element->getIntegerBitWidth());
  if (offset >= count) return llvm::Constant::getNullValue(words);
  if (offset + elements <= count) return loaded(tensor, words, first, offset);
  llvm::Value* vector = llvm::Constant::getNullValue(vector_type(element, elements));
  for (int i = 0; offset + i < count; ++i)
    vector = builder_.CreateInsertElement(vector, loaded(tensor, element, first, offset + i),
                                          builder_.getInt64(i));
  return builder_.CreateBitCast(vector, words);
}

ValueList LeafLoads::words_by_transposition(int tensor, llvm::Value* first, int count) {
  const int parts = leaf_bytes(tensor) / part_bytes;  // of a leaf
  const int part_elements = leaf_ / parts;
  const int side_by_side = width_ / 4;  // leaves in a register
  ValueList words;
  for (int p = 0; p < parts; ++p) {
    ValueList rows;
    for (int row = 0; row < 4; ++row) {
      const int offset = row * side_by_side * leaf_ + p * part_elements;
      if (parts == 1 && offset + side_by_side * leaf_ <= count) {
        rows.push_back(loaded(tensor, vector_type(builder_.getInt32Ty(), width_), first, offset));
        continue;
      }
      ValueList in_row;
      for (int leaf = 0; leaf < side_by_side; ++leaf)
        in_row.push_back(part(tensor, first, offset + leaf * leaf_, count));
      rows.push_back(concatenated(builder_, in_row));
    }
    for (llvm::Value* word : transposed(builder_, rows)) words.push_back(word);
  }
  return words;
}

ValueList LeafLoads::words_of_small_leaves(int tensor, llvm::Value* first) {
  const int words = leaf_bytes(tensor) / 4;  // of a leaf: 1 or 2
  llvm::Value* block = loaded(tensor, vector_type(builder_.getInt32Ty(), words * width_), first, 0);
  ValueList result;
  for (int word = 0; word < words; ++word) {
    Mask mask;
    for (int lane : lane_at_) mask.push_back(lane * words + word);
    result.push_back(shuffle(builder_, block, block, mask));
  }
  return result;
}

ValueList LeafLoads::element_by_element(int tensor, llvm::Value* first, int count) {
  llvm::Type* element = storage(tensor);
  ValueList result;
  for (int j = 0; j < leaf_; ++j) {
    llvm::Value* vector = llvm::Constant::getNullValue(vector_type(element, width_));
    for (int position = 0; position < width_; ++position) {
      const int offset = lane_at_[static_cast<std::size_t>(position)] * leaf_ + j;
      if (offset >= count) continue;
      llvm::Value* value = loaded(tensor, element, first, offset);
      vector = width_ == 1 ? value : builder_.CreateInsertElement(vector, value, builder_.getInt64(position));
    }
    if (element->getIntegerBitWidth() < 32) vector = builder_.CreateZExt(vector, vector_type(builder_.getInt32Ty(), width_));
    result.push_back(vector);
  }
  return result;
}

ValueList LeafLoads::load(int tensor, llvm::Value* first, int count) {
  const DType dtype = spec_.inputs[static_cast<std::size_t>(tensor)].dtype;
  const bool whole = count >= width_ * leaf_;
  ValueList bits;
  if (width_ < 4 || dtype == DType::f64 || leaf_bytes(tensor) < 4 || (leaf_bytes(tensor) < part_bytes && !whole)) {
    bits = element_by_element(tensor, first, count);
  } else {
    const ValueList words = leaf_bytes(tensor) >= part_bytes ? words_by_transposition(tensor, first, count)
                                                             : words_of_small_leaves(tensor, first);
    const int width = 8 * static_cast<int>(size_of(dtype));  // bits of an element
    const std::uint64_t mask = (std::uint64_t{1} << width) - 1;
    for (llvm::Value* word : words)
      for (int place = 0; place < 32; place += width) {
        llvm::Value* shifted = place == 0 ? word : builder_.CreateLShr(word, int_constant(word->getType(), static_cast<std::uint64_t>(place)));
        bits.push_back(place + width == 32 ? shifted : builder_.CreateAnd(shifted, int_constant(word->getType(), mask)));
      }
  }
  for (llvm::Value*& value : bits) value = widen(builder_, value, dtype);
  return bits;
}

}  // namespace isofold
