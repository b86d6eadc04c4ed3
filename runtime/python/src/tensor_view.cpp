#include "tensor_view.hpp"

#include <isofold/error.hpp>

#include <fmt/format.h>

#include <unordered_map>

namespace isofold::python {
namespace nb = nanobind;
namespace {

constexpr std::uint8_t unknown_code = 255;
constexpr char exchange_name[] = "__dlpack_c_exchange_api__";

const dlpack::ExchangeApi* find_exchange_api(nb::handle type) {
  nb::object capsule = nb::getattr(type, exchange_name, nb::none());
  if (!PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api")) return nullptr;
  auto* api = static_cast<dlpack::ExchangeApi*>(PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
  while (api != nullptr && api->version.major != 1) api = api->previous;
  return api != nullptr && api->tensor_from_object != nullptr ? api : nullptr;
}

/// An attribute that the object may refuse to give, for reasons of its own.
nb::object attribute(nb::handle object, const char* name) {
  PyObject* const found = PyObject_GetAttrString(object.ptr(), name);
  if (found == nullptr) PyErr_Clear();
  return nb::steal(found);
}

std::string class_name(nb::handle object) { return nb::str(object.type().attr("__name__")).c_str(); }

/// Meta, sparse, quantised and other tensors whose memory PyTorch does not show. Of its message the rest is a trace of its calls.
[[noreturn]] void refuse_unreadable(nb::handle object) {
  const nb::python_error error;
  const std::string why = nb::str(error.value()).c_str();
  throw UsageError(fmt::format("the memory of this {} cannot be read: {}", class_name(object), why.substr(0, why.find('\n'))));
}

dlpack::DataType type_from_string(std::string_view text, nb::handle object) {
  dlpack::DataType type{unknown_code, 0, 1};
  if (text.size() < 3 || (text[0] == '>' && text[2] != '1')) return type;
  type.bits = static_cast<std::uint8_t>(8 * std::min(16, std::atoi(std::string(text.substr(2)).c_str())));
  switch (text[1]) {
    case 'f':
      type.code = dlpack::floating;
      break;
    case 'i':
      type.code = dlpack::integer;
      break;
    case 'u':
      type.code = dlpack::unsigned_integer;
      break;
    case 'b':
      type.code = dlpack::boolean;
      break;
    case 'c':
      type.code = dlpack::complex;
      break;
    default: {  // extension types, such as those of ml_dtypes, have a name alone
      const nb::object dtype = attribute(object, "dtype");
      const std::string name = dtype.is_valid() ? nb::str(dtype).c_str() : "";
      if (name == "bfloat16") type.code = dlpack::bfloat;
      if (name == "float8_e4m3fn") type.code = dlpack::e4m3fn;
    }
  }
  return type;
}

}  // namespace

const dlpack::ExchangeApi* exchange_api_of(nb::handle object) { return exchange_api_of_type(object.type()); }

const dlpack::ExchangeApi* exchange_api_of_type(nb::handle of) {
  // Types are kept alive by the entry, so that no other gets their address. The lock of the interpreter
  // guards the map.
  static auto& known = *new std::unordered_map<PyObject*, const dlpack::ExchangeApi*>;
  PyObject* const type = of.ptr();
  const auto [entry, added] = known.try_emplace(type, nullptr);
  if (added) {
    Py_INCREF(type);
    entry->second = find_exchange_api(type);
  }
  return entry->second;
}

void TensorView::read_interface(const nb::object& interface, nb::handle object, bool cuda) {
  const nb::dict fields = nb::cast<nb::dict>(interface);
  const nb::tuple data = nb::cast<nb::tuple>(fields["data"]);
  const nb::tuple shape = nb::cast<nb::tuple>(fields["shape"]);
  tensor.data = reinterpret_cast<void*>(nb::cast<std::uintptr_t>(data[0]));
  read_only = nb::cast<bool>(data[1]);
  const std::string type = nb::str(fields["typestr"]).c_str();
  tensor.dtype = type_from_string(type, object);
  if (tensor.dtype.code == unknown_code) foreign_dtype_ = type;
  tensor.ndim = static_cast<std::int32_t>(shape.size());
  for (const nb::handle size : shape) sizes_.push_back(nb::cast<std::int64_t>(size));
  const nb::object strides = fields.contains("strides") ? nb::object(fields["strides"]) : nb::none();
  const std::int64_t item = std::max(1, tensor.dtype.bits / 8);
  if (!strides.is_none())
    for (const nb::handle stride : nb::cast<nb::tuple>(strides)) {
      const auto bytes = nb::cast<std::int64_t>(stride);
      if (bytes % item != 0)
        throw nb::type_error("a tensor's strides are no multiples of its elements' size");
      sizes_.push_back(bytes / item);
    }
  tensor.shape = sizes_.data();
  if (!strides.is_none()) tensor.strides = sizes_.data() + tensor.ndim;
  tensor.device = {cuda ? dlpack::cuda : dlpack::cpu, cuda ? -1 : 0};
  // The interface itself does not say which GPU.
  if (cuda && nb::hasattr(object, "__dlpack_device__"))
    tensor.device.index = nb::cast<int>(nb::int_(nb::object(object.attr("__dlpack_device__")())[1]));
  if (cuda && fields.contains("stream") && !nb::object(fields["stream"]).is_none())
    stream = nb::cast<std::uintptr_t>(fields["stream"]);
  owner_ = interface;
}

void TensorView::read_capsule(nb::handle object) {
  const nb::object device = object.attr("__dlpack_device__")();
  const int type = nb::cast<int>(nb::int_(device[0]));
  nb::object capsule;
  // The stream -1 says: do not wait. What is ordered on which stream is up to the caller, as with every other
  // kernel.
  if (type == dlpack::cpu)
    capsule = object.attr("__dlpack__")();
  else
    capsule = object.attr("__dlpack__")(nb::arg("stream") = -1);
  if (PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned")) {
    const auto* managed =
        static_cast<dlpack::VersionedTensor*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor_versioned"));
    tensor = managed->tensor;
    read_only = (managed->flags & dlpack::read_only_flag) != 0;
  } else if (PyCapsule_IsValid(capsule.ptr(), "dltensor")) {
    tensor = static_cast<dlpack::ManagedTensor*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"))->tensor;
  } else {
    throw nb::type_error("__dlpack__ gave no DLPack tensor");
  }
  owner_ = std::move(capsule);  // a capsule that nobody consumed releases its tensor itself
}

TensorView view_of(nb::handle object) {
  TensorView view;
  if ((view.api = exchange_api_of(object)) != nullptr) {
    if (view.api->tensor_from_object(object.ptr(), &view.tensor) != 0) refuse_unreadable(object);
    return view;
  }
  if (nb::object interface = attribute(object, "__cuda_array_interface__"); interface.is_valid())
    view.read_interface(interface, object, true);
  else if (interface = attribute(object, "__array_interface__"); interface.is_valid()) {
    if (class_name(object) == "MaskedArray")
      throw UsageError("a masked array's mask would not be seen: pass its filled(), or its data");
    view.read_interface(interface, object, false);
  }
  else if (nb::hasattr(object, "__dlpack__") && nb::hasattr(object, "__dlpack_device__"))
    view.read_capsule(object);
  else
    throw nb::type_error(
        fmt::format(
            "{} is no tensor: it has none of DLPack, __cuda_array_interface__ and __array_interface__",
            nb::str(object.type()).c_str())
            .c_str());
  return view;
}

std::string TensorView::device_name() const {
  if (on_host()) return "cpu";
  if (!on_cuda()) return fmt::format("device type {} of DLPack", tensor.device.type);
  return tensor.device.index < 0 ? "cuda" : fmt::format("cuda:{}", tensor.device.index);
}

std::string TensorView::dtype_name() const {
  if (!foreign_dtype_.empty()) return foreign_dtype_;
  if (const auto dtype = dtype_of(tensor.dtype)) return std::string(name_of(*dtype));
  switch (tensor.dtype.code) {
    case dlpack::integer:
      return fmt::format("int{}", tensor.dtype.bits);
    case dlpack::unsigned_integer:
      return fmt::format("uint{}", tensor.dtype.bits);
    case dlpack::floating:
      return fmt::format("float{}", tensor.dtype.bits);
    case dlpack::complex:
      return fmt::format("complex{}", tensor.dtype.bits);
    case dlpack::boolean:
      return "bool";
    default:
      return fmt::format("a dtype of {} bits that Isofold does not know", tensor.dtype.bits);
  }
}

std::string TensorView::shape_text() const {
  std::string text;
  for (int i = 0; i < tensor.ndim; ++i) text += fmt::format("{}{}", i == 0 ? "" : ", ", tensor.shape[i]);
  return "[" + text + "]";
}

std::int64_t TensorView::stride(int dimension) const {
  if (tensor.strides != nullptr) return tensor.strides[dimension];
  std::int64_t elements = 1;
  for (int i = dimension + 1; i < tensor.ndim; ++i) elements *= tensor.shape[i];
  return elements;
}

std::optional<DType> dtype_of(const dlpack::DataType& type) {
  if (type.lanes != 1) return std::nullopt;
  const auto is = [&](dlpack::TypeCode code, int bits) { return type.code == code && type.bits == bits; };
  if (is(dlpack::floating, 32)) return DType::f32;
  if (is(dlpack::bfloat, 16)) return DType::bf16;
  if (is(dlpack::floating, 16)) return DType::f16;
  if (is(dlpack::e4m3fn, 8)) return DType::e4m3;
  if (is(dlpack::integer, 8)) return DType::i8;
  if (is(dlpack::integer, 32)) return DType::i32;
  if (is(dlpack::floating, 64)) return DType::f64;
  return std::nullopt;
}

bool holds(const dlpack::DataType& type, DType dtype) {
  if (dtype_of(type) == dtype) return true;
  return (dtype == DType::bf16 || dtype == DType::e4m3) && type.lanes == 1 &&
         type.code == dlpack::unsigned_integer && type.bits == 8 * size_of(dtype);
}

std::optional<Rows> rows_of(const TensorView& view, int dimensions) {
  Rows rows;
  for (int i = 0; i < dimensions; ++i)
    if (view.tensor.shape[i] == 0) return Rows{0, 0};
  for (int i = dimensions - 1; i >= 0; --i) {
    const std::int64_t size = view.tensor.shape[i];
    if (size == 1) continue;
    const std::int64_t stride = view.stride(i);
    if (stride <= 0) return std::nullopt;  // repeated, or backwards
    if (rows.count == 1)
      rows.stride = stride;
    else if (stride != rows.count * rows.stride)
      return std::nullopt;
    rows.count *= size;
  }
  return rows;
}

}  // namespace isofold::python
