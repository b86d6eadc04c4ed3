#include <isofold.h>
#include <isofold/codegen/named_spec.hpp>
#include <isofold/codegen/operators.hpp>

#include <algorithm>
#include <array>
#include <span>

#include "objects.hpp"
#include "structures.hpp"

using namespace isofold;
using namespace isofold::c;

namespace isofold::c {
namespace {

constexpr std::size_t first_operator_options = 56, first_tensor_info = 56, first_prepare_options = 40, first_launch_options = 72;
static_assert(sizeof(isofold_operator_options) == first_operator_options && sizeof(isofold_tensor_info) == first_tensor_info &&
              sizeof(isofold_prepare_options) == first_prepare_options && sizeof(isofold_launch_options) == first_launch_options);

Spec read_spec(const isofold_operator_options& o) {
  if (o.spec != nullptr) {
    if (o.name != nullptr || o.options != nullptr || o.dtype != nullptr || o.n != 0)
      throw Failure(ISOFOLD_ERROR_ARGUMENT, "options: with spec, which says it all, name, n, dtype and options must be absent");
    return parse_spec(o.spec);
  }
  if (o.name == nullptr) throw Failure(ISOFOLD_ERROR_ARGUMENT, "options: name and spec are both null");
  return named_spec(o.name, o.n, named_dtype(not_null(o.dtype, "options: dtype")), text_or_empty(o.options));
}

TensorFacts facts_of(const Spec& spec, const std::string& name, DType dtype, Extent extent, int groups) {
  return {name, std::string(name_of(dtype)), std::string(name_of(extent)), extent, row_elements(spec, extent), groups, size_of(dtype)};
}

void describe(const std::vector<TensorFacts>& tensors, std::size_t index, isofold_tensor_info* info) {
  not_null(info, "info");
  const std::size_t size = info->struct_size;
  if (size < first_tensor_info || size > 65536)
    throw Failure(ISOFOLD_ERROR_ARGUMENT, "info: struct_size is {}, it must be sizeof the structure, here {}", size, sizeof *info);
  if (index >= tensors.size()) throw Failure(ISOFOLD_ERROR_ARGUMENT, "index is {}, there are {}", index, tensors.size());
  const TensorFacts& tensor = tensors[index];
  const isofold_tensor_info known{size, tensor.name.c_str(), tensor.dtype.c_str(), tensor.extent.c_str(),
                                  tensor.row_elements, tensor.groups, tensor.element_bytes};
  std::memset(info, 0, size);  // a newer caller has fields that are not known here
  std::memcpy(info, &known, std::min(size, sizeof known));
}

/// Is a buffer of `bytes` bytes long enough? Strides that are too short are left to the launch to refuse.
void check_bytes(const TensorFacts& tensor, std::int64_t row_stride, std::size_t bytes, std::int64_t tokens) {
  if (bytes == 0) return;
  using Wide = __int128;
  const Wide together = Wide{tensor.row_elements} * tensor.groups;
  Wide elements = together;
  if (has_stride(tensor.kind)) {
    const Wide stride = row_stride == 0 ? together : Wide{row_stride};
    if (stride < together) return;
    elements = (tokens - 1) / tensor.groups * stride + ((tokens - 1) % tensor.groups + 1) * Wide{tensor.row_elements};
  }
  const Wide needed = elements * static_cast<Wide>(tensor.element_bytes);
  if (needed > static_cast<Wide>(bytes))
    throw Failure(ISOFOLD_ERROR_BUFFER, "{}: {} tokens take {} bytes, the buffer has {}", tensor.name, tokens, static_cast<unsigned __int128>(needed), bytes);
}

void launch(const OperatorObject& object, const isofold_launch_options* given) {
  const isofold_launch_options o = read_structure(given, "options", first_launch_options);
  if (o.input_count != object.inputs.size() || o.output_count != object.outputs.size())
    throw Failure(ISOFOLD_ERROR_ARGUMENT, "{} inputs and {} outputs were passed, this operator has {} and {}", o.input_count,
                  o.output_count, object.inputs.size(), object.outputs.size());
  if (o.input_count > 0) not_null(o.inputs, "options: inputs");
  if (o.output_count > 0) not_null(o.outputs, "options: outputs");
  if (o.workspace == nullptr && o.workspace_bytes > 0) throw Failure(ISOFOLD_ERROR_ARGUMENT, "options: workspace is null, workspace_bytes is {}", o.workspace_bytes);
  std::array<ConstTensor, max_tensors> inputs;
  std::array<MutableTensor, max_tensors> outputs;
  for (std::size_t i = 0; i < o.input_count; ++i) {
    inputs[i] = {o.inputs[i].data, o.inputs[i].row_stride};
    if (o.tokens > 0) check_bytes(object.inputs[i], o.inputs[i].row_stride, o.inputs[i].bytes, o.tokens);
  }
  for (std::size_t i = 0; i < o.output_count; ++i) {
    outputs[i] = {o.outputs[i].data, o.outputs[i].row_stride};
    if (o.tokens > 0) check_bytes(object.outputs[i], o.outputs[i].row_stride, o.outputs[i].bytes, o.tokens);
  }
  object.op.launch(static_cast<CUstream_st*>(o.stream), {inputs.data(), o.input_count}, {outputs.data(), o.output_count}, o.tokens,
                   {o.workspace, o.workspace_bytes});
}

void prepare(const Operator& op, const isofold_prepare_options* given) {
  const isofold_prepare_options o = read_structure(given, "options", first_prepare_options);
  if (o.reserved != 0) throw Failure(ISOFOLD_ERROR_ARGUMENT, "options: reserved is {}, it must be 0", o.reserved);
  if (o.token_count == 0 && o.max_tokens == 0) throw Failure(ISOFOLD_ERROR_ARGUMENT, "options: neither tokens nor max_tokens are given");
  if (o.token_count > 0) not_null(o.tokens, "options: tokens");
  const PrepareOptions options{.alignment = o.alignment == 0 ? 16 : o.alignment};
  if (o.token_count > 0) op.prepare({o.tokens, o.token_count}, options);
  if (o.max_tokens != 0) op.prepare_up_to(o.max_tokens, options);
}

std::string answer(const Operator& op, std::int32_t what, std::int64_t tokens, int alignment, std::size_t workspace_bytes) {
  switch (what) {
    case ISOFOLD_OPERATOR_BITS_ID: return op.bits_id();
    case ISOFOLD_OPERATOR_SPEC: return text(op.spec());
    case ISOFOLD_OPERATOR_FOLD: return text(op.fold());
    case ISOFOLD_OPERATOR_SCHEDULE: return op.choice(tokens, alignment, workspace_bytes).schedule;
    case ISOFOLD_OPERATOR_ORIGIN: return op.choice(tokens, alignment, workspace_bytes).origin;
    case ISOFOLD_OPERATOR_SOURCE: return op.source(tokens, alignment, workspace_bytes);
    default: throw Failure(ISOFOLD_ERROR_ARGUMENT, "what is {}, allowed is 0 to {}", what, ISOFOLD_OPERATOR_SOURCE);
  }
}

}  // namespace

OperatorObject::OperatorObject(Operator made) : op(std::move(made)) {
  const Spec& spec = op.spec();
  for (const Tensor& tensor : spec.inputs) inputs.push_back(facts_of(spec, tensor.name, tensor.dtype, tensor.extent, tensor.groups));
  for (const Output& output : spec.outputs) outputs.push_back(facts_of(spec, output.name, output.dtype, output.extent, output.groups));
}

Handles<OperatorObject>& operators() {
  static auto& table = make_handles<OperatorObject, operators>(2, "operator");
  return table;
}

}  // namespace isofold::c

const char* isofold_operator_name(size_t index) {
  const std::span<const NamedOperator> all = named_operators();
  return index < all.size() ? all[index].name.data() : nullptr;  // literals: they end with a NUL
}

isofold_status isofold_operator_create(isofold_runtime* runtime, const isofold_operator_options* options, isofold_operator** op) {
  return guarded([&] {
    *not_null(op, "op") = nullptr;
    const Runtime& found = runtimes().find(runtime);
    const isofold_operator_options o = read_structure(options, "options", first_operator_options);
    std::optional<Fold> fold;
    if (o.fold != nullptr) fold = parse_fold(o.fold);
    *op = static_cast<isofold_operator*>(operators().insert(std::make_unique<OperatorObject>(found.make_operator(read_spec(o), fold))));
  });
}

isofold_status isofold_operator_release(isofold_operator* op) {
  return guarded([&] { operators().remove(op); });
}

isofold_status isofold_operator_tensor_counts(isofold_operator* op, size_t* inputs, size_t* outputs) {
  return guarded([&] {
    const OperatorObject& object = operators().find(op);
    not_null(inputs, "inputs");
    *not_null(outputs, "outputs") = object.outputs.size();
    *inputs = object.inputs.size();
  });
}

isofold_status isofold_operator_input(isofold_operator* op, size_t index, isofold_tensor_info* info) {
  return guarded([&] { describe(operators().find(op).inputs, index, info); });
}

isofold_status isofold_operator_output(isofold_operator* op, size_t index, isofold_tensor_info* info) {
  return guarded([&] { describe(operators().find(op).outputs, index, info); });
}

isofold_status isofold_operator_query(isofold_operator* op, int32_t what, int64_t tokens, int32_t alignment, size_t workspace_bytes,
                                      char* buffer, size_t capacity, size_t* needed) {
  return guarded([&] {
    copy_text(answer(operators().find(op).op, what, tokens, alignment == 0 ? 16 : alignment, workspace_bytes), buffer, capacity, needed);
  });
}

isofold_status isofold_operator_boundaries(isofold_operator* op, int64_t* firsts, size_t capacity, size_t* count) {
  return guarded([&] {
    const std::vector<std::int64_t> found = operators().find(op).op.boundaries();
    *not_null(count, "count") = found.size();
    if (firsts == nullptr) {
      if (capacity > 0) throw Failure(ISOFOLD_ERROR_ARGUMENT, "firsts is null, capacity is {}", capacity);
      return;
    }
    if (capacity < found.size()) throw Failure(ISOFOLD_ERROR_BUFFER, "there are {} boundaries, the buffer holds {}", found.size(), capacity);
    std::copy(found.begin(), found.end(), firsts);
  });
}

isofold_status isofold_operator_prepare(isofold_operator* op, const isofold_prepare_options* options) {
  return guarded([&] { prepare(operators().find(op).op, options); });
}

isofold_status isofold_operator_workspace(isofold_operator* op, int64_t max_tokens, size_t* bytes) {
  return guarded([&] {
    const Operator& found = operators().find(op).op;
    if (max_tokens < 0) throw Failure(ISOFOLD_ERROR_ARGUMENT, "max_tokens is {}, it must not be negative", max_tokens);
    *not_null(bytes, "bytes") = found.workspace_bytes(max_tokens);
  });
}

isofold_status isofold_operator_launch(isofold_operator* op, const isofold_launch_options* options) {
  return guarded([&] { launch(operators().find(op), options); });
}
