#include "eager.hpp"

#include <isofold/error.hpp>

#include <cxxabi.h>

#include <algorithm>
#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <exception>
#include <map>
#include <optional>
#include <utility>

#include "bound_operator.hpp"
#include "python_calls.hpp"
#include "tensor_view.hpp"

namespace isofold::python {
namespace nb = nanobind;
namespace {

/// A property of a type, read without looking its name up in the object.
class Property {
 public:
  explicit Property(nb::object descriptor)
      : descriptor_(std::move(descriptor)),
        get_(reinterpret_cast<descrgetfunc>(PyType_GetSlot(Py_TYPE(descriptor_.ptr()), Py_tp_descr_get))) {
    if (get_ == nullptr) throw InternalError("PyTorch's property is none");
  }
  nb::object operator()(nb::handle object) const {
    PyObject* const value = get_(descriptor_.ptr(), object.ptr(), object.type().ptr());
    if (value == nullptr) throw nb::python_error();
    return nb::steal(value);
  }

 private:
  nb::object descriptor_;
  descrgetfunc get_;
};

/// A function without arguments. What is written in C is called without what CPython does for it otherwise.
class Question {
 public:
  explicit Question(nb::object function)
      : function_(std::move(function)), no_arguments_(nb::steal<nb::object>(PyTuple_New(0))) {
    PyObject* const object = function_.ptr();
    if (!PyCFunction_CheckExact(object)) return;
    const PyCFunction in_c = PyCFunction_GetFunction(object);
    self_ = PyCFunction_GetSelf(object);
    const int flags = PyCFunction_GetFlags(object);
    if (flags == METH_NOARGS) plain_ = in_c;
    if (flags == (METH_VARARGS | METH_KEYWORDS))
      with_tuple_ = reinterpret_cast<PyCFunctionWithKeywords>(reinterpret_cast<void (*)()>(in_c));
  }
  nb::object operator()() const {
    PyObject* const answer = plain_ != nullptr        ? plain_(self_, nullptr)
                             : with_tuple_ != nullptr ? with_tuple_(self_, no_arguments_.ptr(), nullptr)
                                                      : PyObject_CallNoArgs(function_.ptr());
    if (answer == nullptr) throw nb::python_error();
    return nb::steal(answer);
  }

 private:
  nb::object function_, no_arguments_;
  PyObject* self_ = nullptr;  // the function's own
  PyCFunction plain_ = nullptr;
  PyCFunctionWithKeywords with_tuple_ = nullptr;
};

/// What is asked of PyTorch, looked up once. Never released: calls may outlive the interpreter's modules.
struct Torch {
  nb::object tensor, parameter;    // the types whose memory can be read as it is
  const dlpack::ExchangeApi* api;  // of both; null in a PyTorch without one
  Question grad_enabled;
  Question tracing, transforming;  // False when no tracer and no transform is active
  Question dispatch_modes;         // how many there are
  nb::object forward_ad, level;    // a module's names, and the one whose value is below 0 without derivatives
  nb::object empty_like, new_empty, is_neg;
  Property requires_grad;
};
Torch* torch = nullptr;

/// What a function answers. An error of it is thrown.
nb::object ask(const nb::object& function, std::span<PyObject* const> arguments) {
  nb::object result =
      nb::steal(PyObject_Vectorcall(function.ptr(), arguments.data(), arguments.size(), nullptr));
  if (!result.is_valid()) throw nb::python_error();
  return result;
}

bool wants_forward_derivatives() {
  PyObject* const level = PyDict_GetItemWithError(torch->forward_ad.ptr(), torch->level.ptr());
  if (level == nullptr) throw InternalError("PyTorch's level of forward derivatives is not there");
  return PyLong_AsLong(level) >= 0;
}

/// Modes, transforms and tracers see operators in the dispatcher only.
bool somebody_watches() {
  return PyObject_IsTrue(torch->dispatch_modes().ptr()) != 0 || !torch->tracing().is(Py_False) ||
         !torch->transforming().is(Py_False) || wants_forward_derivatives();
}

/// Memory that a tensor has, if it is a strided one.
bool read_memory(nb::handle object, TensorView& view) {
  view.api = torch->api;
  if (view.api == nullptr) return false;
  if (view.api->tensor_from_object(object.ptr(), &view.tensor) != 0) {
    PyErr_Clear();
    return false;
  }
  if (view.tensor.data != nullptr) [[likely]]
    return true;
  for (int i = 0; i < view.tensor.ndim; ++i)
    if (view.tensor.shape[i] == 0) return true;
  return false;
}

/// A strided tensor with memory that no gradient is asked of, and that holds the numbers themselves.
bool read(nb::handle object, TensorView& view) {
  const nb::handle type = object.type();
  if (!type.is(torch->tensor) && !type.is(torch->parameter)) return false;
  if (!torch->requires_grad(object).is(Py_False) && !torch->grad_enabled().is(Py_False)) return false;
  PyObject* const self = object.ptr();
  return ask(torch->is_neg, {&self, 1}).is(Py_False) && read_memory(object, view);
}

constexpr std::size_t most_tensors = 3, most_outputs = 3;

/// What an operator depends on.
struct Key {
  std::int64_t n = 0;
  std::int32_t device = 0;  // -1: the CPU
  std::uint32_t eps = 0;    // bits
  std::array<std::uint8_t, most_tensors> dtypes{};
  auto operator<=>(const Key&) const = default;
};
constexpr std::uint8_t absent = 255;

/// Calls of one function: rows in, and rows or one number per row out. Each call reads its tensors, finds the
/// operator that was made for their dtypes, row length and device, and launches it on PyTorch's current
/// stream. What it does not take it answers with NotImplemented, without an error. The lock of the
/// interpreter guards the entries.
class Eager {
 public:
  Eager(nb::object resolve, bool reduces) : resolve_(std::move(resolve)), reduces_(reduces) {}

  /// The results are those that are given, else made here. Returns the first one. `n`: what x's last size has
  /// to be.
  nb::object call(const std::array<nb::handle, most_tensors>& objects, std::optional<std::int64_t> n,
                  double eps, const std::array<nb::handle, most_outputs>& given) {
    if (torch == nullptr) throw InternalError("PyTorch is not set");
    std::array<TensorView, most_tensors> views;
    Key key{.eps = std::bit_cast<std::uint32_t>(static_cast<float>(eps))};
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
    key.n = x.shape[x.ndim - 1];
    if (n.value_or(key.n) != key.n) return not_taken();
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
      TensorView own;
      const TensorView* known = &own;
      if (given[i].is_none()) {
        results[i] = make_output(objects[0], x);
        if (!results[i].type().is(torch->tensor) || !read_memory(results[i], own)) return not_taken();
      } else {
        results[i] = nb::borrow(given[i]);
        const auto input = std::find_if(objects.begin(), objects.end(),
                                        [&](nb::handle object) { return object.is(given[i]); });
        if (input != objects.end())  // in place
          known = &views[static_cast<std::size_t>(input - objects.begin())];
        else if (!read(results[i], own))
          return not_taken();
      }
      const TensorView& view = *known;
      Rows rows;
      if (!suits(view, op->tensors()[op->inputs() + i], rows)) return not_taken();
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
    const Operator& launched = op->op();
    Workspace workspace{.bytes = tokens > 0 ? launched.workspace_bytes(tokens) : 0};
    nb::object memory;  // PyTorch's allocator gives it to others on this stream only, after the launch
    if (workspace.bytes > 0) [[unlikely]] {
      const nb::object elements = nb::int_(workspace.bytes * 8 / x.dtype.bits + 1);
      memory = ask(torch->new_empty, std::array{objects[0].ptr(), elements.ptr()});
      TensorView view;
      if (!read_memory(memory, view)) return not_taken();
      workspace.data = view.data();
    }
    {
      const WithoutGil others_run;
      launched.launch(stream, std::span(inputs).first(place), std::span(outputs).first(count), tokens, workspace);
    }
    return std::move(results[0]);
  }

 private:
  struct Entry {
    nb::object object;        // that holds the operator
    const BoundOperator* op;  // null: there is none
  };

  static nb::object not_taken() { return nb::borrow(Py_NotImplemented); }

  const BoundOperator* find(const Key& key, double eps) {
    if (key == last_.key && last_.known) [[likely]]
      return last_.op;
    if (const auto found = entries_.find(key); found != entries_.end()) {
      last_ = {key, found->second.op, true};
      return found->second.op;
    }
    nb::list dtypes;
    for (const std::uint8_t dtype : key.dtypes) {
      if (dtype == absent)
        dtypes.append(nb::none());
      else
        dtypes.append(nb::str(name_of(static_cast<DType>(dtype)).data()));
    }
    nb::object object = resolve_(key.n, nb::tuple(dtypes), eps, key.device);
    const BoundOperator* const op = object.is_none() ? nullptr : nb::inst_ptr<BoundOperator>(object);
    // Another thread may have been here while Python resolved it: the first one stays.
    const auto [at, fresh] = entries_.emplace(key, Entry{std::move(object), op});
    last_ = {key, at->second.op, true};
    return at->second.op;
  }

  nb::object make_output(nb::handle x, const dlpack::Tensor& tensor) const {
    constexpr std::size_t most_sizes = 8;
    std::array<PyObject*, 1 + most_sizes> arguments{x.ptr()};
    if (!reduces_) return ask(torch->empty_like, {arguments.data(), 1});
    // PyTorch reads sizes one by one in half the time that it takes for a tuple of them.
    const auto dimensions = static_cast<std::size_t>(tensor.ndim - 1);
    const bool one_by_one = dimensions >= 1 && dimensions <= most_sizes;
    std::array<nb::object, most_sizes> sizes;
    nb::object tuple;
    if (!one_by_one) {
      tuple = nb::steal(PyTuple_New(tensor.ndim - 1));
      arguments[1] = tuple.ptr();
    }
    for (std::size_t i = 0; i < dimensions; ++i) {
      nb::object size = nb::steal(PyLong_FromLongLong(tensor.shape[i]));
      if (one_by_one) {
        arguments[1 + i] = size.ptr();
        sizes[i] = std::move(size);
      } else {
        PyTuple_SetItem(tuple.ptr(), static_cast<Py_ssize_t>(i), size.release().ptr());
      }
    }
    return ask(torch->new_empty, {arguments.data(), 1 + (one_by_one ? dimensions : 1)});
  }

  nb::object resolve_;
  bool reduces_;
  std::map<Key, Entry> entries_;
  struct {
    Key key;
    const BoundOperator* op = nullptr;
    bool known = false;
  } last_;  // most calls are like the one before
};

/// The exception that nanobind is to translate.
thread_local std::exception_ptr pending;
const nb::object* throw_pending = nullptr;

/// Eager::call as CPython calls its own functions, without what nanobind does for each argument: 0.1 us of a
/// call.
PyObject* call_eager(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  try {
    if (count != 8) throw nb::type_error("Eager.call takes 8 arguments");
    std::optional<std::int64_t> n;
    if (arguments[3] != Py_None) {
      n = PyLong_AsLongLong(arguments[3]);
      if (*n == -1 && PyErr_Occurred() != nullptr) return nullptr;
    }
    const double eps = PyFloat_AsDouble(arguments[4]);
    if (eps == -1 && PyErr_Occurred() != nullptr) return nullptr;
    return nb::inst_ptr<Eager>(self)
        ->call({arguments[0], arguments[1], arguments[2]}, n, eps, {arguments[5], arguments[6], arguments[7]})
        .release()
        .ptr();
  } catch (const abi::__forced_unwind&) {
    throw;  // CPython ends the thread
  } catch (...) {
    pending = std::current_exception();
  }
  return PyObject_CallNoArgs(throw_pending->ptr());
}

PyMethodDef call_definition{"call", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&call_eager)),
                            METH_FASTCALL,
                            "(x, a, b, n, eps, first, second, third): inputs, then results, each of them "
                            "or None; n is x's last size, or None. The first result, or NotImplemented."};

}  // namespace

void bind_eager(nb::module_& m) {
  m.def("_use_torch", [](const nb::dict& functions) {
    const auto get = [&](const char* name) { return nb::object(functions[name]); };
    const nb::object tensor = get("tensor");
    torch = new Torch{.tensor = tensor,
                      .parameter = get("parameter"),
                      .api = exchange_api_of_type(tensor),
                      .grad_enabled = Question(get("grad_enabled")),
                      .tracing = Question(get("tracing")),
                      .transforming = Question(get("transforming")),
                      .dispatch_modes = Question(get("dispatch_modes")),
                      .forward_ad = get("forward_ad").attr("__dict__"),
                      .level = nb::steal(PyUnicode_InternFromString("_current_level")),
                      .empty_like = get("empty_like"),
                      .new_empty = tensor.attr("new_empty"),
                      .is_neg = tensor.attr("is_neg"),
                      .requires_grad = Property(tensor.attr("requires_grad"))};
  });
  m.def("_throw_pending", [] { std::rethrow_exception(std::exchange(pending, nullptr)); });
  throw_pending = new nb::object(m.attr("_throw_pending"));
  nb::class_<Eager>(m, "Eager")
      .def(nb::init<nb::object, bool>(), nb::arg("resolve"), nb::arg("reduces"))
      .def_prop_ro("call", [](nb::handle self) {
        return nb::steal(PyCFunction_NewEx(&call_definition, self.ptr(), nullptr));
      });
}

}  // namespace isofold::python
