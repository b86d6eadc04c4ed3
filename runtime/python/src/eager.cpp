#include "eager.hpp"

#include <isofold/error.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "bound_operator.hpp"
#include "python_calls.hpp"
#include "tensor_view.hpp"

namespace isofold::python {
namespace nb = nanobind;
namespace {

/// What is asked of PyTorch, looked up once. Never released: calls may outlive the interpreter's modules.
struct Torch {
  nb::object tensor, parameter;                         // the types whose memory can be read as it is
  nb::object grad_enabled;                              // is_grad_enabled()
  nb::object tracing, dispatch_modes, functorch_level;  // None, 0 and None when nobody watches what is called
  nb::object forward_ad;  // the module, whose level is below 0 when no forward derivatives are wanted
  nb::object empty_like;
  nb::object requires_grad, is_neg, new_empty, current_level;  // names
};
Torch* torch = nullptr;

bool is_true(const nb::object& object) { return object.is(Py_True); }

nb::object call(const nb::object& function) {
  nb::object result = nb::steal(PyObject_CallNoArgs(function.ptr()));
  if (!result.is_valid()) throw nb::python_error();
  return result;
}

bool wants_forward_derivatives() {
  const nb::object level = nb::steal(PyObject_GetAttr(torch->forward_ad.ptr(), torch->current_level.ptr()));
  if (!level.is_valid()) throw nb::python_error();
  return PyLong_AsLong(level.ptr()) >= 0;
}

/// Modes, transforms and tracers see operators in the dispatcher only.
bool somebody_watches() {
  return !call(torch->tracing).is_none() || PyObject_IsTrue(call(torch->dispatch_modes).ptr()) != 0 ||
         !call(torch->functorch_level).is_none() || wants_forward_derivatives();
}

/// A strided tensor with memory that no gradient is asked of.
bool read(nb::handle object, TensorView& view) {
  const nb::handle type = object.type();
  if (!type.is(torch->tensor) && !type.is(torch->parameter)) return false;
  if (is_true(nb::steal(PyObject_GetAttr(object.ptr(), torch->requires_grad.ptr()))) &&
      is_true(call(torch->grad_enabled)))
    return false;
  PyObject* const self = object.ptr();
  if (is_true(nb::steal(PyObject_VectorcallMethod(torch->is_neg.ptr(), &self, 1, nullptr)))) return false;
  view.api = exchange_api_of(object);
  if (view.api == nullptr || view.api->tensor_from_object(self, &view.tensor) != 0) {
    PyErr_Clear();
    return false;
  }
  if (view.tensor.data != nullptr) return true;
  for (int i = 0; i < view.tensor.ndim; ++i)
    if (view.tensor.shape[i] == 0) return true;
  return false;
}

constexpr std::size_t most_tensors = 3, most_outputs = 3;

/// What an operator depends on.
struct Key {
  std::int64_t n = 0;
  std::int32_t device = 0;  // -1: the CPU
  std::uint32_t eps = 0;    // bits
  std::array<std::uint8_t, most_tensors> dtypes{};
  bool operator==(const Key&) const = default;
};
constexpr std::uint8_t absent = 255;

/// Calls of one function: rows in, and rows or one number per row out. Each call reads its tensors, finds the
/// operator that was made for their dtypes, row length and device, and launches it on PyTorch's current
/// stream. What it does not take it answers with NotImplemented, without an error. The lock of the
/// interpreter guards the entries.
class Eager {
 public:
  Eager(nb::object resolve, bool reduces) : resolve_(std::move(resolve)), reduces_(reduces) {}

  /// The results: `first`, `second` and `third` where they are given, else made here. The first one is
  /// returned.
  nb::object call(nb::handle x, nb::handle a, nb::handle b, std::int64_t n, double eps, nb::handle first,
                  nb::handle second, nb::handle third) {
    return run({x, a, b}, n, eps, {first, second, third});
  }

 private:
  struct Entry {
    Key key;
    nb::object object;        // that holds the operator
    const BoundOperator* op;  // null: there is none
  };

  static nb::object not_taken() { return nb::borrow(Py_NotImplemented); }

  const BoundOperator* find(const Key& key, double eps) {
    for (const Entry& entry : entries_)
      if (entry.key == key) [[likely]]
        return entry.op;
    nb::list dtypes;
    for (const std::uint8_t dtype : key.dtypes) {
      if (dtype == absent)
        dtypes.append(nb::none());
      else
        dtypes.append(nb::str(name_of(static_cast<DType>(dtype)).data()));
    }
    nb::object object = resolve_(key.n, nb::tuple(dtypes), eps, key.device);
    const BoundOperator* const op = object.is_none() ? nullptr : nb::inst_ptr<BoundOperator>(object);
    entries_.push_back({key, std::move(object), op});
    return op;
  }

  nb::object run(const std::array<nb::handle, most_tensors>& objects, std::int64_t n, double eps,
                 std::array<nb::handle, most_outputs> given) {
    if (torch == nullptr) throw InternalError("PyTorch is not set");
    std::array<TensorView, most_tensors> views;
    Key key{.n = n, .eps = std::bit_cast<std::uint32_t>(static_cast<float>(eps))};
    for (std::size_t i = 0; i < most_tensors; ++i) {
      key.dtypes[i] = absent;
      if (objects[i].is_none()) continue;
      if (!read(objects[i], views[i])) return not_taken();
      const auto dtype = dtype_of(views[i].tensor.dtype);
      if (!dtype) return not_taken();
      key.dtypes[i] = static_cast<std::uint8_t>(*dtype);
    }
    const dlpack::Tensor& x = views[0].tensor;
    if (x.ndim < 1 || somebody_watches()) return not_taken();
    if (n < 0) key.n = x.shape[x.ndim - 1];
    key.device = views[0].on_cuda() ? x.device.index : -1;
    if (key.device < 0 && !views[0].on_host()) return not_taken();

    const BoundOperator* const op = find(key, eps);
    if (op == nullptr) return not_taken();
    std::array<ConstTensor, most_tensors> inputs;
    std::array<MutableTensor, most_outputs> outputs;
    std::size_t place = 0;
    std::int64_t tokens = 0;
    const auto suits = [&](const TensorView& view, const TensorFacts& facts, Rows& rows) {
      const dlpack::Tensor& tensor = view.tensor;
      if (tensor.device.index != x.device.index || tensor.device.type != x.device.type ||
          facts.dtype != dtype_of(tensor.dtype))
        return false;
      const int own = facts.extent == Extent::token ? 0 : 1;
      if (tensor.ndim < own || (facts.extent == Extent::column && tensor.ndim != 1)) return false;
      if (own == 1 &&
          (tensor.shape[tensor.ndim - 1] != key.n || (key.n > 1 && view.stride(tensor.ndim - 1) != 1)))
        return false;
      const auto found = rows_of(view, tensor.ndim - own);
      if (found) rows = *found;
      return found.has_value();
    };
    for (std::size_t i = 0; i < most_tensors; ++i) {
      if (objects[i].is_none()) continue;
      const TensorFacts& facts = op->tensors()[place];
      Rows rows;
      if (!suits(views[i], facts, rows)) return not_taken();
      if (place == 0)
        tokens = rows.count;
      else if (facts.extent == Extent::row && rows.count != tokens)
        return not_taken();
      inputs[place++] = {views[i].data(), rows.stride};
    }
    const std::size_t count = op->tensors().size() - op->inputs();
    std::array<nb::object, most_outputs> results;
    const int dimensions = reduces_ ? x.ndim - 1 : x.ndim;
    for (std::size_t i = 0; i < count; ++i) {
      results[i] = given[i].is_none() ? make_output(objects[0], x) : nb::borrow(given[i]);
      TensorView view;
      Rows rows;
      if (!read(results[i], view) || !suits(view, op->tensors()[op->inputs() + i], rows)) return not_taken();
      // What goes with rows, such as their means, may have any shape.
      const bool shaped = reduces_ || op->tensors()[op->inputs() + i].extent == Extent::row;
      if (shaped &&
          (view.tensor.ndim != dimensions || !std::equal(x.shape, x.shape + dimensions, view.tensor.shape)))
        return not_taken();
      if (rows.count != tokens) return not_taken();
      outputs[i] = {view.data(), rows.stride};
    }
    CUstream_st* const stream =
        key.device < 0 ? nullptr : stream_of(nb::none(), {views.data(), 1}, key.device);
    {
      const Operator& launched = op->op();
      const WithoutGil others_run;
      launched.launch(stream, std::span(inputs).first(place), std::span(outputs).first(count), tokens);
    }
    return std::move(results[0]);
  }

  nb::object make_output(nb::handle x, const dlpack::Tensor& tensor) const {
    if (!reduces_) {
      PyObject* const argument = x.ptr();
      nb::object made = nb::steal(PyObject_Vectorcall(torch->empty_like.ptr(), &argument, 1, nullptr));
      if (!made.is_valid()) throw nb::python_error();
      return made;
    }
    nb::object shape = nb::steal(PyTuple_New(tensor.ndim - 1));
    for (int i = 0; i + 1 < tensor.ndim; ++i)
      PyTuple_SetItem(shape.ptr(), i, PyLong_FromLongLong(tensor.shape[i]));
    PyObject* const arguments[] = {x.ptr(), shape.ptr()};
    nb::object made = nb::steal(PyObject_VectorcallMethod(torch->new_empty.ptr(), arguments, 2, nullptr));
    if (!made.is_valid()) throw nb::python_error();
    return made;
  }

  nb::object resolve_;
  bool reduces_;
  std::vector<Entry> entries_;
};

}  // namespace

void bind_eager(nb::module_& m) {
  m.def("_use_torch", [](const nb::dict& functions) {
    const auto get = [&](const char* name) { return nb::object(functions[name]); };
    const auto text = [](const char* name) { return nb::steal(PyUnicode_InternFromString(name)); };
    torch = new Torch{.tensor = get("tensor"),
                      .parameter = get("parameter"),
                      .grad_enabled = get("grad_enabled"),
                      .tracing = get("tracing"),
                      .dispatch_modes = get("dispatch_modes"),
                      .functorch_level = get("functorch_level"),
                      .forward_ad = get("forward_ad"),
                      .empty_like = get("empty_like"),
                      .requires_grad = text("requires_grad"),
                      .is_neg = text("is_neg"),
                      .new_empty = text("new_empty"),
                      .current_level = text("_current_level")};
  });
  nb::class_<Eager>(m, "Eager")
      .def(nb::init<nb::object, bool>(), nb::arg("resolve"), nb::arg("reduces"))
      .def("__call__", &Eager::call, nb::arg("x"), nb::arg("a").none(), nb::arg("b").none(), nb::arg("n"),
           nb::arg("eps"), nb::arg("first") = nb::none(), nb::arg("second") = nb::none(),
           nb::arg("third") = nb::none());
}

}  // namespace isofold::python
