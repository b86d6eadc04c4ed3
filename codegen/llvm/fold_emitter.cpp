#include "fold_emitter.hpp"

#include <llvm/IR/Module.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace isofold {
namespace {

/// Elements of a round up to which its groups are unrolled, with their accumulators in registers.
constexpr int unrolled_elements = 512;

/// Adjacent pairs become halves when positions are read backwards, bit by bit.
int reversed(int position, int count) {
  int result = 0;
  for (int bit = 1; bit < count; bit *= 2) result = 2 * result + ((position & bit) != 0);
  return result;
}

}  // namespace

FoldEmitter::FoldEmitter(RowValues& row, const Fold& fold, int width)
    : row_(row),
      builder_(row.builder()),
      fold_(fold),
      n_(row.spec().n),
      width_(std::min(width, fold.lanes)),
      groups_(fold.lanes / width_),
      leaves_per_segment_(isofold::leaves_per_segment(fold, n_)) {
  llvm::Type* vector = vector_type(row_.real(), width_);
  if (fold.lanes * fold.leaf <= unrolled_elements) {
    for (int group = 0; group < groups_; ++group)
      accumulators_.push_back(local_array(builder_, vector, 1, "lanes"));
    promotable_ = accumulators_;
  } else {
    accumulators_.push_back(local_array(builder_, vector, groups_, "lanes"));
  }
  segments_ = local_array(builder_, row_.real(), fold.segments, "segments");
  std::vector<std::uint16_t> places;
  for (int segment = 0; segment < fold.segments; ++segment)
    places.push_back(static_cast<std::uint16_t>(reversed(segment, fold.segments)));
  llvm::Constant* table = llvm::ConstantDataArray::get(builder_.getContext(), places);
  places_ = new llvm::GlobalVariable(*builder_.GetInsertBlock()->getModule(), table->getType(), true,
                                     llvm::GlobalValue::PrivateLinkage, table, "bit_reversed");
}

llvm::Value* FoldEmitter::reduce(int node, const ValueList& pointers) {
  reduction_ = node;
  op_ = row_.spec().nodes[static_cast<std::size_t>(node)].op;
  if (n_ == 0) return float_constant(row_.real(), op_ == Op::sum ? 0.0f : std::nanf(""));
  LeafLoads loads(builder_, row_.spec(), fold_, width_, pointers);
  loads_ = &loads;
  const std::int64_t segment_elements = leaves_per_segment_ * fold_.leaf;
  const std::int64_t full = n_ / segment_elements;
  const auto store = [&](llvm::Value* sum, llvm::Value* index) {
    builder_.CreateStore(sum, segment_place(index));
  };
  emit_loop(builder_, 0, full, 1, "segment", [&](llvm::Value* index) {
    llvm::Value* first =
        builder_.CreateMul(index, builder_.getInt64(static_cast<std::uint64_t>(segment_elements)));
    store(segment(first, segment_elements), index);
  });
  std::int64_t done = full;
  if (n_ % segment_elements != 0) {
    llvm::Value* first = builder_.getInt64(static_cast<std::uint64_t>(full * segment_elements));
    store(segment(first, n_ % segment_elements), builder_.getInt64(static_cast<std::uint64_t>(full)));
    ++done;
  }
  llvm::Value* nothing = float_constant(row_.real(), identity_of(op_));
  for (; done < fold_.segments; ++done) store(nothing, builder_.getInt64(static_cast<std::uint64_t>(done)));
  loads_ = nullptr;
  return segment_tree();
}

llvm::Value* FoldEmitter::segment(llvm::Value* first, std::int64_t count) {
  const std::int64_t round_elements = static_cast<std::int64_t>(fold_.lanes) * fold_.leaf;
  const std::int64_t rounds = count / round_elements;
  if (rounds > 0) round(first, round_elements, true);
  emit_loop(builder_, 1, rounds, 1, "round", [&](llvm::Value* index) {
    llvm::Value* offset =
        builder_.CreateMul(index, builder_.getInt64(static_cast<std::uint64_t>(round_elements)));
    round(builder_.CreateAdd(first, offset), round_elements, false);
  });
  if (count % round_elements != 0)
    round(offset_by(builder_, first, rounds * round_elements), count % round_elements, rounds == 0);
  return lane_tree();
}

void FoldEmitter::round(llvm::Value* first, std::int64_t count, bool fresh) {
  const int elements = width_ * fold_.leaf;  // of a group
  const std::int64_t whole = count / elements;
  const auto constant = [&](std::int64_t value) {
    return builder_.getInt64(static_cast<std::uint64_t>(value));
  };
  if (accumulators_.size() > 1 || groups_ == 1) {
    for (std::int64_t index = 0; index < whole; ++index)
      group(constant(index), offset_by(builder_, first, index * elements), elements, fresh);
  } else {
    emit_loop(builder_, 0, whole, 1, "group", [&](llvm::Value* index) {
      llvm::Value* offset = builder_.CreateMul(index, constant(elements));
      group(index, builder_.CreateAdd(first, offset), elements, fresh);
    });
  }
  std::int64_t done = whole;
  if (count % elements != 0) {
    const int rest = static_cast<int>(count % elements);
    group(constant(whole), offset_by(builder_, first, whole * elements), rest, fresh);
    ++done;
  }
  llvm::Value* nothing = float_constant(vector_type(row_.real(), width_), identity_of(op_));
  for (; fresh && done < groups_; ++done) builder_.CreateStore(nothing, accumulator(constant(done)));
}

void FoldEmitter::group(llvm::Value* group, llvm::Value* first, int count, bool fresh) {
  const Spec& spec = row_.spec();
  const Node& total = spec.nodes[static_cast<std::size_t>(reduction_)];
  const Node& summand = spec.nodes[static_cast<std::size_t>(total.a)];
  llvm::Type* vector = vector_type(row_.real(), width_);
  llvm::Value* slot = accumulator(group);
  llvm::Value* chain = fresh ? float_constant(vector, identity_of(op_)) : builder_.CreateLoad(vector, slot);
  std::map<int, ValueList> loaded;
  for (int j = 0; j < std::min(fold_.leaf, count); ++j) {
    Elements elements(row_, width_, [&](int tensor) {
      ValueList& of_tensor = loaded[tensor];
      if (of_tensor.empty()) of_tensor = loads_->load(tensor, first, count);
      return of_tensor[static_cast<std::size_t>(j)];
    }, [&] { return places(first, j); });
    const bool starts = fresh && j == 0;
    llvm::Value* next = nullptr;
    if (op_ == Op::sum && summand.op == Op::mul) {
      llvm::Value* a = elements.value(summand.a);
      llvm::Value* b = elements.value(summand.b);
      next = starts ? builder_.CreateFMul(a, b) : emit_fma(builder_, a, b, chain);
    } else {
      next = starts ? elements.value(total.a) : combined(chain, elements.value(total.a));
    }
    std::vector<llvm::Constant*> exists;
    for (int lane : loads_->lane_at()) exists.push_back(builder_.getInt1(lane * fold_.leaf + j < count));
    const bool all =
        std::all_of(exists.begin(), exists.end(), [](llvm::Constant* c) { return c->isOneValue(); });
    chain = all ? next : builder_.CreateSelect(llvm::ConstantVector::get(exists), next, chain);
  }
  builder_.CreateStore(chain, slot);
}

/// Places in the row of element `element` of the leaves of the group at `first`, as its vectors hold them.
llvm::Value* FoldEmitter::places(llvm::Value* first, int element) {
  std::vector<std::uint32_t> offsets;
  for (int lane : loads_->lane_at()) offsets.push_back(static_cast<std::uint32_t>(lane * fold_.leaf + element));
  llvm::Constant* steps = width_ == 1 ? static_cast<llvm::Constant*>(builder_.getInt32(offsets[0]))
                                      : llvm::ConstantDataVector::get(builder_.getContext(), offsets);
  return builder_.CreateAdd(splat(builder_, builder_.CreateTrunc(first, builder_.getInt32Ty()), width_), steps);
}

llvm::Value* FoldEmitter::lane_tree() {
  llvm::Type* vector = vector_type(row_.real(), width_);
  ValueList lanes;
  for (int group = 0; group < groups_; ++group)
    lanes.push_back(
        builder_.CreateLoad(vector, accumulator(builder_.getInt64(static_cast<std::uint64_t>(group)))));
  for (std::size_t half = lanes.size() / 2; half >= 1; half /= 2)
    for (std::size_t i = 0; i < half; ++i) lanes[i] = combined(lanes[i], lanes[i + half]);
  // Within the vector every lane that still counts meets its partner in place.
  const Mask& lane_at = loads_->lane_at();
  llvm::Value* sums = lanes[0];
  for (int half = width_ / 2; half >= 1; half /= 2) {
    Mask partners;
    for (int lane : lane_at) {
      const auto partner = std::find(lane_at.begin(), lane_at.end(), lane + half);
      partners.push_back(lane < half ? static_cast<int>(partner - lane_at.begin()) : -1);
    }
    sums = combined(sums, shuffle(builder_, sums, sums, partners));
  }
  return width_ == 1 ? sums : builder_.CreateExtractElement(sums, std::uint64_t{0});
}

llvm::Value* FoldEmitter::segment_tree() {
  const int width = std::min(fold_.segments, 16);
  llvm::Type* vector = vector_type(row_.real(), width);
  ValueList sums;
  for (int first = 0; first < fold_.segments; first += width) {
    llvm::Value* index = builder_.getInt64(static_cast<std::uint64_t>(first));
    sums.push_back(
        builder_.CreateLoad(vector, element_address(builder_, row_.real(), segments_, index)));
  }
  for (std::size_t half = sums.size() / 2; half >= 1; half /= 2)
    for (std::size_t i = 0; i < half; ++i) sums[i] = combined(sums[i], sums[i + half]);
  llvm::Value* total = sums[0];
  for (int half = width / 2; half >= 1; half /= 2)
    total = combined(every(builder_, total, 0, 1, half), every(builder_, total, half, 1, half));
  return total;
}

llvm::Value* FoldEmitter::accumulator(llvm::Value* group) {
  if (accumulators_.size() > 1 || groups_ == 1)
    return accumulators_[llvm::cast<llvm::ConstantInt>(group)->getZExtValue()];
  return element_address(builder_, vector_type(row_.real(), width_), accumulators_[0], group);
}

llvm::Value* FoldEmitter::segment_place(llvm::Value* segment) {
  llvm::Value* place;
  if (const auto* constant = llvm::dyn_cast<llvm::ConstantInt>(segment)) {
    const int index = static_cast<int>(constant->getZExtValue());
    place = builder_.getInt64(static_cast<std::uint64_t>(reversed(index, fold_.segments)));
  } else {
    llvm::Value* address = element_address(builder_, builder_.getInt16Ty(), places_, segment);
    place = builder_.CreateZExt(builder_.CreateLoad(builder_.getInt16Ty(), address), builder_.getInt64Ty());
  }
  return element_address(builder_, row_.real(), segments_, place);
}

}  // namespace isofold
