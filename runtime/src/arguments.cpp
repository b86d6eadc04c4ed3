#include "arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>

namespace isofold {
namespace {

constexpr int widest_access = 4;  // log2 of 16 bytes

/// Rows of several elements, which vector accesses cut.
bool has_vectors(Extent extent) { return extent == Extent::row || extent == Extent::column; }

int shift_of(DType dtype) { return std::countr_zero(size_of(dtype)); }

/// log2 of the elements per access that an address or stride with `zeros` trailing zero bits allows.
int class_of(int zeros, int shift) { return zeros >= widest_access ? alignment_classes - 1 : zeros - shift; }

[[noreturn, gnu::cold, gnu::noinline]] void refuse(const std::string& what) { throw UsageError(what); }

[[noreturn, gnu::cold, gnu::noinline]] void refuse_count(const char* kind, std::size_t passed,
                                                         std::size_t needed) {
  refuse(fmt::format("{} {} tensors were passed, this operator has {}", passed, kind, needed));
}

[[noreturn, gnu::cold, gnu::noinline]] void refuse_size(const std::string& name, std::int64_t stride,
                                                        std::int64_t tokens) {
  refuse(fmt::format("{}: {} rows with a row stride of {} elements do not fit into the address space", name,
                     tokens, stride));
}

}  // namespace

int alignment_class_of(const Spec& spec, int bytes) {
  if (bytes < 1 || !std::has_single_bit(static_cast<unsigned>(bytes)))
    refuse(fmt::format("alignment is {} bytes, it must be a power of two", bytes));
  const int zeros = std::countr_zero(static_cast<unsigned>(bytes));
  int lowest = alignment_classes - 1;
  const auto visit = [&](const std::string& name, DType dtype) {
    if (zeros < shift_of(dtype))
      refuse(fmt::format("alignment is {} bytes, {} ({}) needs at least {}", bytes, name, name_of(dtype),
                         size_of(dtype)));
    lowest = std::min(lowest, class_of(zeros, shift_of(dtype)));
  };
  for (const Tensor& tensor : spec.inputs)
    if (has_vectors(tensor.extent)) visit(tensor.name, tensor.dtype);
  for (const Output& output : spec.outputs)
    if (has_vectors(output.extent)) visit(output.name, output.dtype);
  return lowest;
}

int alignment_bytes_of(const Spec& spec, int alignment_class) {
  int bytes = 1 << widest_access;
  while (bytes > 1 && alignment_class_of(spec, bytes) > alignment_class) bytes /= 2;
  return bytes;
}

ArgumentLayout::ArgumentLayout(const Spec& spec) {
  if (spec.inputs.size() + spec.outputs.size() > max_tensors)
    refuse(fmt::format("{} has {} inputs and {} outputs, together at most {} are allowed", spec.op,
                       spec.inputs.size(), spec.outputs.size(), max_tensors));
  const std::vector<int> gathered = gathered_inputs(spec);
  for (const Tensor& tensor : spec.inputs)
    inputs_.push_back({tensor.name, tensor.dtype, has_stride(tensor.extent), tensor.groups, has_vectors(tensor.extent),
                       row_elements(spec, tensor.extent) * tensor.groups,
                       std::count(gathered.begin(), gathered.end(), static_cast<int>(inputs_.size())) != 0, shift_of(tensor.dtype)});
  for (const Output& output : spec.outputs)
    outputs_.push_back({output.name, output.dtype, true, output.groups, has_vectors(output.extent), row_elements(spec, output.extent) * output.groups,
                        false, shift_of(output.dtype)});
}

/// Checks one tensor alone and lowers `lowest` to its alignment class.
ArgumentLayout::Region ArgumentLayout::check(const Facts& facts, const void* data, std::int64_t stride,
                                             std::int64_t tokens, int& lowest) const {
  const auto begin = reinterpret_cast<std::uint64_t>(data);
  if (begin == 0 && facts.elements > 0) refuse(fmt::format("{}: the pointer is null", facts.name));
  if (facts.strided && stride < facts.elements)
    refuse(
        fmt::format("{}: the row stride is {}, it must be at least the row length {} (or 0 for dense rows)",
                    facts.name, stride, facts.elements));
  const std::int64_t distance = facts.strided ? stride : 0;
  std::int64_t elements = 0;
  // The last group of rows may be begun only.
  const std::int64_t last = facts.strided ? facts.elements / facts.groups * ((tokens - 1) % facts.groups + 1) : facts.elements;
  if (__builtin_mul_overflow((tokens - 1) / facts.groups, distance, &elements) || __builtin_add_overflow(elements, last, &elements) ||
      std::max(elements, distance) > (std::numeric_limits<std::int64_t>::max() >> facts.shift))
    refuse_size(facts.name, stride, tokens);
  Region region;
  region.begin = begin;
  region.bytes = facts.elements == 0 ? 0 : static_cast<std::uint64_t>(elements) << facts.shift;
  region.row_bytes = static_cast<std::uint64_t>(facts.elements) << facts.shift;
  region.stride_bytes = static_cast<std::uint64_t>(distance) << facts.shift;
  if (begin + region.bytes < begin) refuse_size(facts.name, stride, tokens);
  const int zeros = std::countr_zero(begin | region.stride_bytes | (std::uint64_t{1} << widest_access));
  if (zeros < facts.shift)
    refuse(fmt::format("{}: the address {:#x} is not a multiple of {} bytes, the size of {}", facts.name,
                       begin, 1 << facts.shift, name_of(facts.dtype)));
  if (facts.vectors) lowest = std::min(lowest, class_of(zeros, facts.shift));
  return region;
}

void ArgumentLayout::check_overlap(const Facts& a, const Region& region_a, const Facts& b,
                                   const Region& region_b, bool may_be_identical) const {
  const bool apart = region_a.bytes == 0 || region_b.bytes == 0 ||
      region_a.begin >= region_b.begin + region_b.bytes || region_b.begin >= region_a.begin + region_a.bytes;
  if (apart) [[likely]]
    return;
  if (region_a.stride_bytes == region_b.stride_bytes && a.strided && b.strided) {
    if (region_a.begin == region_b.begin && may_be_identical && a.dtype == b.dtype && a.vectors && b.vectors && a.groups == b.groups &&
        !b.gathered)
      return;
    // Slices of one larger row, side by side: the rows of one lie in the gaps of the other.
    const bool a_first = region_a.begin <= region_b.begin;
    const std::uint64_t distance =
        (a_first ? region_b.begin - region_a.begin : region_a.begin - region_b.begin) % region_a.stride_bytes;
    const std::uint64_t first_bytes = a_first ? region_a.row_bytes : region_b.row_bytes;
    const std::uint64_t second_bytes = a_first ? region_b.row_bytes : region_a.row_bytes;
    if (distance >= first_bytes && distance + second_bytes <= region_a.stride_bytes) return;
  }
  refuse(fmt::format(
      "{} [{:#x}, {:#x}) overlaps {} [{:#x}, {:#x}); an output may be the very buffer of a row input "
      "(same start, row stride and dtype), any other overlap is not allowed",
      a.name, region_a.begin, region_a.begin + region_a.bytes, b.name, region_b.begin,
      region_b.begin + region_b.bytes));
}

void ArgumentLayout::bind(std::span<const ConstTensor> inputs, std::span<const MutableTensor> outputs,
                          std::int64_t tokens, Parameters& parameters) const {
  if (inputs.size() != inputs_.size()) refuse_count("input", inputs.size(), inputs_.size());
  if (outputs.size() != outputs_.size()) refuse_count("output", outputs.size(), outputs_.size());
  std::array<Region, max_tensors> regions;
  int lowest = alignment_classes - 1;
  std::size_t stride_place = inputs.size() + outputs.size();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::int64_t stride = inputs[i].row_stride == 0 ? inputs_[i].elements : inputs[i].row_stride;
    regions[i] = check(inputs_[i], inputs[i].data, stride, tokens, lowest);
    parameters.values[i] = regions[i].begin;
    if (inputs_[i].strided) parameters.values[stride_place++] = static_cast<std::uint64_t>(stride);
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const std::int64_t stride = outputs[i].row_stride == 0 ? outputs_[i].elements : outputs[i].row_stride;
    const Region region = check(outputs_[i], outputs[i].data, stride, tokens, lowest);
    for (std::size_t other = 0; other < inputs.size(); ++other)
      check_overlap(outputs_[i], region, inputs_[other], regions[other], true);
    for (std::size_t other = 0; other < i; ++other)
      check_overlap(outputs_[i], region, outputs_[other], regions[inputs.size() + other], false);
    regions[inputs.size() + i] = region;
    parameters.values[inputs.size() + i] = region.begin;
    parameters.values[stride_place++] = static_cast<std::uint64_t>(stride);
  }
  parameters.values[stride_place++] = static_cast<std::uint64_t>(tokens);
  parameters.count = stride_place;
  parameters.alignment_class = lowest;
}

}  // namespace isofold
