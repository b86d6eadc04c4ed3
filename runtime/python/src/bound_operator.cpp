#include "bound_operator.hpp"

#include <isofold/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <functional>
#include <numeric>

#include "python_calls.hpp"

namespace isofold::python {
namespace nb = nanobind;
namespace {

std::atomic<int> last_generation_with_gpu{-1};

int ordinal_of(const std::string& device) {
  int ordinal = -1;
  if (device.starts_with("cuda:")) std::from_chars(device.data() + 5, device.data() + device.size(), ordinal);
  return ordinal;
}

[[noreturn]] void refuse(const std::string& what) { throw UsageError(what); }

nb::object module_if_loaded(const char* name) {
  const nb::dict modules = nb::cast<nb::dict>(nb::module_::import_("sys").attr("modules"));
  return modules.contains(name) ? nb::object(modules[name]) : nb::object();
}

}  // namespace

Home::Home(const Runtime& runtime)
    : ordinal_(ordinal_of(runtime.device_name())), generation_(process_generation()) {
  if (on_gpu()) last_generation_with_gpu.store(generation_);
}

bool Home::is_here() const { return generation_ == process_generation(); }

void Home::check() const {
  if (on_gpu() && !is_here()) [[unlikely]]
    refuse(
        "this process was forked from one that had opened the GPU, and CUDA does not work in it. Start "
        "processes with "
        "multiprocessing's \"spawn\" or \"forkserver\", or make the Runtime after the fork only");
}

void check_no_gpu_before_fork(const std::string& device) {
  const int with_gpu = last_generation_with_gpu.load();
  if (with_gpu < 0 || with_gpu == process_generation() || device == "cpu") return;
  refuse(
      "this process was forked from one that had opened the GPU, and CUDA does not work in it. Start "
      "processes with "
      "multiprocessing's \"spawn\" or \"forkserver\", or use device=\"cpu\" here");
}

void check_plain(nb::handle tensor, std::string_view name) {
  if (exchange_api_of(tensor) == nullptr) return;  // others refuse by themselves, or have nothing of the kind
  if (nb::hasattr(tensor, "is_neg") && nb::cast<bool>(tensor.attr("is_neg")()))
    refuse(fmt::format("{0} is a negated view, whose memory holds other numbers: pass {0}.resolve_neg()", name));
  const nb::object needed = nb::getattr(tensor, "requires_grad", nb::none());
  if (!needed.is(Py_True)) return;
  const nb::object torch = module_if_loaded("torch");
  if (!torch.is_valid() || !nb::cast<bool>(torch.attr("is_grad_enabled")())) return;
  refuse(fmt::format(
      "{} requires a gradient, and Isofold's operators are forward only: call them under torch.no_grad() or "
      "torch.inference_mode(), or pass {}.detach()",
      name, name));
}

CUstream_st* stream_of(nb::handle stream, std::span<const TensorView> views, int ordinal) {
  const auto pointer = [](std::uintptr_t address) { return reinterpret_cast<CUstream_st*>(address); };
  if (!stream.is_none()) {
    std::uintptr_t address = 0;
    if (nb::try_cast(stream, address)) return pointer(address);
    for (const char* name : {"cuda_stream", "ptr"})
      if (nb::hasattr(stream, name) && nb::try_cast(nb::handle(nb::object(stream.attr(name))), address))
        return pointer(address);
    if (nb::hasattr(stream, "__cuda_stream__"))
      return pointer(nb::cast<std::uintptr_t>(stream.attr("__cuda_stream__")()[1]));
    throw nb::type_error(
        "stream must be the address of a CUDA stream, or an object with cuda_stream, ptr or __cuda_stream__");
  }
  for (const TensorView& view : views)
    if (view.api != nullptr) {
      void* current = nullptr;
      if (view.api->current_stream(dlpack::cuda, ordinal, &current) != 0) throw nb::python_error();
      return static_cast<CUstream_st*>(current);
    }
  for (const TensorView& view : views)
    if (view.stream) return pointer(*view.stream);
  if (const nb::object torch = module_if_loaded("torch");
      torch.is_valid() && nb::cast<bool>(torch.attr("cuda").attr("is_initialized")()))
    return pointer(nb::cast<std::uintptr_t>(torch.attr("_C").attr("_cuda_getCurrentRawStream")(ordinal)));
  if (const nb::object cupy = module_if_loaded("cupy"); cupy.is_valid())
    return pointer(nb::cast<std::uintptr_t>(cupy.attr("cuda").attr("get_current_stream")().attr("ptr")));
  return nullptr;
}

Rows check_tensor(const Spec& spec, const TensorFacts& facts, const TensorView& view) {
  const auto shaped = [&](const std::string& shape) {
    return fmt::format("{} has shape {}, it must be {}", facts.name, view.shape_text(), shape);
  };
  if (!holds(view.tensor.dtype, facts.dtype))
    refuse(
        fmt::format("{} is {}, this operator takes {}", facts.name, view.dtype_name(), name_of(facts.dtype)));
  if (facts.output && view.read_only)
    refuse(fmt::format("{} is written, but its memory is read-only", facts.name));
  const int ndim = view.tensor.ndim;
  const std::int64_t* const shape = view.tensor.shape;
  if (facts.extent == Extent::scalar) {
    for (int i = 0; i < ndim; ++i)
      if (shape[i] != 1) refuse(shaped("a single number"));
    return {};
  }
  if (facts.extent == Extent::token) {
    const auto rows = rows_of(view, ndim);
    if (!rows)
      refuse(fmt::format("{} has shape {} with numbers that have no one distance from each other", facts.name,
                         view.shape_text()));
    return *rows;
  }
  const bool grouped = facts.groups > 1;
  const int own = grouped ? 2 : 1;  // dimensions of what is not counted
  const bool column = facts.extent == Extent::column;
  const std::string row = grouped ? fmt::format("{}, {}", facts.groups, spec.n) : fmt::format("{}", spec.n);
  const std::string wanted =
      column ? fmt::format("[{}]", row)
             : fmt::format("[tokens, {}], with any number of dimensions before the last", row);
  if (ndim < own || (column && ndim != own) || shape[ndim - 1] != spec.n ||
      (grouped && shape[ndim - 2] != facts.groups))
    refuse(shaped(wanted));
  if (spec.n > 1 && view.stride(ndim - 1) != 1)
    refuse(
        fmt::format("{0}: the last axis is not contiguous (its stride is {1} elements); pass {0}.contiguous(), or "
                    "numpy.ascontiguousarray({0})",
                    facts.name, view.stride(ndim - 1)));
  if (grouped && spec.n > 0 && view.stride(ndim - 2) != spec.n)
    refuse(fmt::format("{}: the groups of a row must lie side by side, {} elements apart, not {}", facts.name,
                       spec.n, view.stride(ndim - 2)));
  if (column) return {};
  auto rows = spec.n == 0 ? std::optional(Rows{std::accumulate(shape, shape + ndim - own, std::int64_t{1}, std::multiplies<>()), 0})
                          : rows_of(view, ndim - own);  // an array without elements has distances that mean nothing
  if (!rows)
    refuse(fmt::format(
        "{}: its rows have no one positive distance from each other (shape {}); make it contiguous",
        facts.name, view.shape_text()));
  rows->count *= facts.groups;
  return *rows;
}

BoundOperator::BoundOperator(Operator op, const Home& home) : held_(std::move(op), home) {
  const Spec& spec = description().spec();
  for (const Tensor& tensor : spec.inputs)
    tensors_.push_back({tensor.name, tensor.dtype, tensor.extent, tensor.groups, false});
  inputs_ = tensors_.size();
  for (const isofold::Output& output : spec.outputs)
    tensors_.push_back({output.name, output.dtype, output.extent, output.groups, true});
}

bool BoundOperator::is_here(const TensorView& view) const {
  if (!home().on_gpu()) return view.on_host();
  return view.on_cuda() && (view.tensor.device.index == home().ordinal() || view.tensor.device.index < 0);
}

/// The memory of an array of any dtype.
Workspace BoundOperator::workspace_of(nb::handle array) const {
  if (array.is_none()) return {};
  const TensorView view = view_of(array);
  if (!is_here(view))
    refuse(fmt::format("workspace is on {}, this operator works on {}", view.device_name(),
                       home().on_gpu() ? fmt::format("cuda:{}", home().ordinal()) : "cpu"));
  if (view.read_only) refuse("workspace is written, but its memory is read-only");
  std::int64_t elements = 1;
  for (int i = view.tensor.ndim - 1; i >= 0; --i) {
    if (view.tensor.shape[i] > 1 && view.stride(i) != elements) refuse("workspace is not contiguous");
    elements *= view.tensor.shape[i];
  }
  return {view.data(), static_cast<std::size_t>(elements) * view.tensor.dtype.bits / 8};
}

void BoundOperator::launch_views(std::span<const TensorView> views, const nb::kwargs& names) const {
  const Operator& op = this->op();
  const Spec& spec = op.spec();
  std::array<ConstTensor, max_tensors> inputs;
  std::array<MutableTensor, max_tensors> outputs;
  std::int64_t tokens = -1;
  const std::string* counted = nullptr;  // the tensor that says how many tokens there are
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const TensorFacts& facts = tensors_[i];
    const TensorView& view = views[i];
    if (!is_here(view)) [[unlikely]]
      refuse(fmt::format("{} is on {}, this operator works on {}", facts.name, view.device_name(),
                         home().on_gpu() ? fmt::format("cuda:{}", home().ordinal()) : "cpu"));
    const Rows rows = check_tensor(spec, facts, view);
    if (has_stride(facts.extent)) {
      if (tokens < 0) {
        tokens = rows.count;
        counted = &facts.name;
      } else if (tokens != rows.count) {
        refuse(fmt::format("{} has {} tokens, {} has {}", *counted, tokens, facts.name, rows.count));
      }
    }
    if (facts.output)
      outputs[i - inputs_] = {view.data(), rows.stride};
    else
      inputs[i] = {view.data(), rows.stride};
  }
  if (tokens < 0)
    refuse(fmt::format("{} has no tensor with rows, so that the number of tokens is not known", spec.op));
  const auto named = [&](const char* name) { return names.contains(name) ? nb::object(names[name]) : nb::none(); };
  CUstream_st* const stream = home().on_gpu() ? stream_of(named("stream"), views, home().ordinal()) : nullptr;
  const Workspace workspace = workspace_of(named("workspace"));
  const WithoutGil others_run;
  op.launch(stream, std::span(inputs).first(inputs_), std::span(outputs).first(tensors_.size() - inputs_),
            tokens, workspace);
}

std::vector<nb::object> BoundOperator::collect(const nb::args& places, const nb::kwargs& names,
                                               std::size_t count) const {
  const std::string& op = description().spec().op;
  if (places.size() > count)
    refuse(fmt::format("{} takes {} tensors by place, {} were passed", op, count, places.size()));
  std::vector<nb::object> objects(tensors_.size());
  for (std::size_t i = 0; i < places.size(); ++i) objects[i] = nb::borrow(places[i]);
  for (const auto& [key, value] : names) {
    const std::string name = nb::str(key).c_str();
    if (name == "stream" || name == "workspace") continue;
    const auto found = std::find_if(tensors_.begin(), tensors_.end(),
                                    [&](const TensorFacts& facts) { return facts.name == name; });
    std::string all;
    for (const TensorFacts& facts : tensors_) all += (all.empty() ? "" : ", ") + facts.name;
    if (found == tensors_.end()) refuse(fmt::format("{} has no tensor '{}'; it has {}", op, name, all));
    nb::object& place = objects[static_cast<std::size_t>(found - tensors_.begin())];
    if (place.is_valid()) refuse(fmt::format("{}: {} was passed twice", op, name));
    place = nb::borrow(value);
  }
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    if (i >= count && (!objects[i].is_valid() || objects[i].is_none())) {  // is made by the caller
      objects[i].reset();
      continue;
    }
    if (!objects[i].is_valid() || objects[i].is_none())
      refuse(fmt::format("{} needs {} '{}', which was not passed", op,
                         tensors_[i].output ? "an output" : "the input", tensors_[i].name));
    check_plain(objects[i], tensors_[i].name);
  }
  return objects;
}

void BoundOperator::launch(const nb::args& places, const nb::kwargs& names) const {
  const std::vector<nb::object> objects = collect(places, names, tensors_.size());
  std::vector<TensorView> views;
  for (const nb::object& object : objects) views.push_back(view_of(object));
  launch_views(views, names);
}

nb::object BoundOperator::call(const nb::args& places, const nb::kwargs& names) const {
  std::vector<nb::object> objects = collect(places, names, inputs_);
  std::vector<TensorView> views(tensors_.size());
  for (std::size_t i = 0; i < inputs_; ++i) views[i] = view_of(objects[i]);
  // Outputs have the shape of the first input with rows.
  std::size_t like = 0;
  while (like < inputs_ && tensors_[like].extent != Extent::row) ++like;
  if (like == inputs_)
    refuse(fmt::format("{} has no input with rows: pass its outputs to launch", description().spec().op));
  check_tensor(description().spec(), tensors_[like], views[like]);
  const dlpack::Tensor& shape = views[like].tensor;
  const nb::object empty = nb::module_::import_("isofold._arrays").attr("empty");
  nb::list results;
  for (std::size_t i = inputs_; i < tensors_.size(); ++i) {
    if (!objects[i].is_valid()) {
      nb::list sizes;
      // One number per token leaves the row away; rows that lie in groups count one by one.
      const int kept = tensors_[i].extent == Extent::row ? shape.ndim : shape.ndim - 1;
      for (int dimension = 0; dimension < kept; ++dimension) sizes.append(shape.shape[dimension]);
      objects[i] = empty(objects[like], nb::tuple(sizes), nb::str(name_of(tensors_[i].dtype).data()));
    }
    views[i] = view_of(objects[i]);
    results.append(objects[i]);
  }
  launch_views(views, names);
  return results.size() == 1 ? nb::object(results[0]) : nb::object(nb::tuple(results));
}

}  // namespace isofold::python
