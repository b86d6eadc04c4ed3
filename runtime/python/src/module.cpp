#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>
#include <isofold/codegen/operators.hpp>
#include <isofold/error.hpp>
#include <isofold/runtime.hpp>

#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "bound_operator.hpp"
#include "eager.hpp"
#include "messages.hpp"
#include "named_specs.hpp"
#include "python_calls.hpp"

namespace isofold::python {
namespace nb = nanobind;
using namespace nb::literals;
namespace {

/// Spec text, or the name of an operator with its row length, dtype and options.
Spec spec_of(const std::string& op, std::optional<std::int64_t> n, const nb::object& dtype,
             const nb::dict& options) {
  if (op.find('{') != std::string::npos) {
    if (n || !dtype.is_none() || options.size() > 0)
      throw UsageError(
          "a Spec's text says everything by itself: n, dtype and options belong to operators that have a "
          "name");
    return parse_spec(op);
  }
  if (!n || dtype.is_none()) throw UsageError("operator \"" + op + "\" needs its row length n and a dtype");
  return spec_by_name(op, *n, dtype, options);
}

using HeldRuntime = Held<Runtime>;
using Path = std::filesystem::path;

Runtime open(const RuntimeOptions& options) {
  process_generation();  // forks count from here on at the latest
  check_no_gpu_before_fork(options.device);
  const WithoutGil others_run;
  return Runtime(options);
}

/// Handles do not change: a copy, of a model that holds one for example, may share them.
nb::object itself(nb::handle self) { return nb::borrow(self); }
nb::object itself_of_all(nb::handle self, nb::handle) { return nb::borrow(self); }

void bind_errors(nb::module_& m) {
  const nb::object base = nb::exception<Error>(m, "Error", PyExc_RuntimeError);
  base.attr("__doc__") = "Base of everything that Isofold raises.";
  const nb::tuple usage_bases = nb::make_tuple(base, nb::borrow(PyExc_ValueError));
  const nb::object usage = nb::exception<UsageError>(m, "UsageError", usage_bases);
  usage.attr("__doc__") =
      "The caller, or the machine, has to change something: the message says what was passed or found, and "
      "what is allowed.";
  const nb::object internal = nb::exception<InternalError>(m, "InternalError", base);
  internal.attr("__doc__") = "A defect of Isofold itself; the message asks for a report.";
}

void bind_runtime(nb::module_& m) {
  nb::class_<HeldRuntime>(m, "Runtime", R"(A device with its caches and tuning tables. Thread-safe.

device: "auto", "cpu" or "cuda:<index>"; empty: what ISOFOLD_DEVICE says, else auto.
cache_folder: of the disk cache; "off": none; empty: ISOFOLD_CACHE, else the user's own.
tables: tuning tables, files or folders, read besides those that come with the library.
bundles: files of kernels that `isofold bundle` built.
require_bundled: compile nothing. require_tuned: launch nothing that was not measured.
record: file to which the token counts that are launched are written.
nvtx: show calls to a profiler.

Raises UsageError when the device cannot be used, or a file cannot be read.)")
      .def(
          "__init__",
          [](HeldRuntime* self, const std::string& device, const Path& cache_folder, const std::vector<Path>& tables,
             const std::vector<Path>& bundles, bool require_bundled, bool require_tuned, const Path& record, bool nvtx) {
            RuntimeOptions options;
            options.device = device;
            options.cache_folder = cache_folder.string();
            options.tables.assign(tables.begin(), tables.end());
            options.bundles.assign(bundles.begin(), bundles.end());
            options.require_bundled = require_bundled;
            options.require_tuned = require_tuned;
            options.record = record.string();
            options.nvtx = nvtx;
            use_messages(options);
            Runtime runtime = open(options);
            const Home home(runtime);
            new (self) HeldRuntime(std::move(runtime), home);
          },
          "device"_a = "", "cache_folder"_a = "", "tables"_a = nb::tuple(), "bundles"_a = nb::tuple(), "require_bundled"_a = false, "require_tuned"_a = false,
          "record"_a = "", "nvtx"_a = false)
      .def_prop_ro(
          "device_name", [](const HeldRuntime& self) { return self.description().device_name(); },
          "\"cuda:0\" or \"cpu\".")
      .def_prop_ro(
          "device", [](const HeldRuntime& self) { return text(self.description().device()); },
          "What is known of the device, as the line that tuning tables have.")
      .def(
          "operator",
          [](const HeldRuntime& self, const std::string& op, std::optional<std::int64_t> n,
             const nb::object& dtype, const std::optional<std::string>& fold, const nb::kwargs& options) {
            const Spec spec = spec_of(op, n, dtype, options);
            return BoundOperator(
                self.get().make_operator(spec, fold ? std::optional(parse_fold(*fold)) : std::nullopt),
                self.home());
          },
          "op"_a, "n"_a = nb::none(), "dtype"_a = nb::none(), nb::kw_only(), "fold"_a = nb::none(),
          "options"_a,
          nb::sig("def operator(self, op: str, n: int | None = None, dtype: DType | None = None, *, fold: str | None = None, "
                  "**options: Option) -> Operator"),
          "The operator of that name over rows of n elements of dtype, with its options as keywords, or the "
          "one that a Spec's text "
          "describes. Nothing is compiled yet.")
      .def("__copy__", itself, nb::sig("def __copy__(self) -> Runtime"))
      .def("__deepcopy__", itself_of_all, "memo"_a, nb::sig("def __deepcopy__(self, memo: Any) -> Runtime"))
      .def("__repr__", [](const HeldRuntime& self) {
        return "isofold.Runtime(\"" + self.description().device_name() + "\")";
      });
}

void bind_operator(nb::module_& m) {
  nb::class_<Choice>(m, "Choice", "What an operator runs for a token count.")
      .def_ro("schedule", &Choice::schedule, "The schedule's text.")
      .def_ro("origin", &Choice::origin,
              "\"table <file>:<line>\", \"tuned in this process\", \"cost model\", or \"bundle <file> (<one of these>)\".")
      .def("__repr__", [](const Choice& self) {
        return "isofold.Choice(\"" + self.schedule + "\", from " + self.origin + ")";
      });
  nb::class_<TensorFacts>(m, "TensorFacts", "A tensor of an operator.")
      .def_ro("name", &TensorFacts::name, "What it is called in the Spec, and as a keyword of a launch.")
      .def_prop_ro("dtype", [](const TensorFacts& self) { return name_of(self.dtype); }, "\"f32\", \"bf16\" and so on.")
      .def_prop_ro(
          "extent", [](const TensorFacts& self) { return name_of(self.extent); },
          "row: [tokens, n]; column: [n]; token: [tokens]; scalar: one number.")
      .def_ro("groups", &TensorFacts::groups, "How many groups a row has; with more than one its shape is [tokens, groups, n].")
      .def("__repr__", [](const TensorFacts& self) {
        return self.name + ": " + std::string(name_of(self.dtype)) + "[" + std::string(name_of(self.extent)) +
               "]";
      });

  const auto tensors = [](const BoundOperator& self, bool outputs) {
    std::vector<TensorFacts> list;
    for (const TensorFacts& facts : self.tensors())
      if (facts.output == outputs) list.push_back(facts);
    return list;
  };
  nb::class_<BoundOperator>(m, "Operator",
                            "A computation on one device. Thread-safe. Made by Runtime.operator.")
      .def_prop_ro(
          "spec", [](const BoundOperator& self) { return text(self.description().spec()); },
          "The Spec's text.")
      .def_prop_ro(
          "fold", [](const BoundOperator& self) { return text(self.description().fold()); },
          "The reduction tree's text.")
      .def_prop_ro(
          "bits_id", [](const BoundOperator& self) { return self.description().bits_id(); },
          "Equal ids mean equal output bits for equal inputs, on every device.")
      .def_prop_ro("n", [](const BoundOperator& self) { return self.description().spec().n; }, "Elements of a row.")
      .def_prop_ro(
          "inputs", [tensors](const BoundOperator& self) { return tensors(self, false); }, "In the order of a launch.")
      .def_prop_ro(
          "outputs", [tensors](const BoundOperator& self) { return tensors(self, true); }, "In the order of a launch, after the inputs.")
      .def(
          "prepare",
          [](const BoundOperator& self, const std::vector<std::int64_t>& tokens, int alignment) {
            const Operator& op = self.op();
            const WithoutGil others_run;
            op.prepare(tokens, {.alignment = alignment});
          },
          "tokens"_a, "alignment"_a = 16,
          "Compiles and loads what launches over these token counts need, for pointers and row strides that "
          "are multiples of "
          "`alignment` bytes.")
      .def(
          "prepare_up_to",
          [](const BoundOperator& self, std::int64_t max_tokens, int alignment) {
            const Operator& op = self.op();
            const WithoutGil others_run;
            op.prepare_up_to(max_tokens, {.alignment = alignment});
          },
          "max_tokens"_a, "alignment"_a = 16, "The same for every token count from 1.")
      .def(
          "workspace_bytes",
          [](const BoundOperator& self, std::int64_t max_tokens) { return self.op().workspace_bytes(max_tokens); },
          "max_tokens"_a,
          "Bytes of workspace with which launches over up to `max_tokens` rows are fastest; 0 where none helps. "
          "Without it the bits are the same.")
      .def("launch", &BoundOperator::launch, "tensors"_a, "named"_a,
           nb::sig("def launch(self, *tensors: Array, stream: Stream | None = None, workspace: Array | None = None, "
                   "**named: Array) -> None"),
           "Enqueues the computation. Tensors by place (inputs, then outputs, in the Spec's order) or by "
           "name. On a GPU `stream` is "
           "the address of a stream or a stream object; the framework's current one when it is absent. "
           "`workspace` is an array of the device, contiguous, aligned to 256 bytes, of any dtype and at least workspace_bytes() bytes, with which a few "
           "very long rows are faster; launches that may run at the same time must not share it. "
           "Nothing is waited for; on "
           "the CPU the result is there on return.")
      .def("__call__", &BoundOperator::call, "tensors"_a, "named"_a,
           nb::sig("def __call__(self, *tensors: Array, stream: Stream | None = None, workspace: Array | None = None, "
                   "**named: Array | None) -> Any"),
           "The same with outputs that are made here, of the kind of the first input: an array, or a tuple "
           "of several. Those that are passed by name, and not None, are written instead.")
      .def(
          "choice",
          [](const BoundOperator& self, std::int64_t tokens, int alignment, std::size_t workspace_bytes) {
            return self.op().choice(tokens, alignment, workspace_bytes);
          },
          "tokens"_a, "alignment"_a = 16, "workspace_bytes"_a = 0, "The schedule for a token count, and why it is used.")
      .def(
          "plan",
          [](const BoundOperator& self, std::int64_t tokens, int alignment, std::size_t workspace_bytes) {
            return text(self.op().plan(tokens, alignment, workspace_bytes));
          },
          "tokens"_a, "alignment"_a = 16, "workspace_bytes"_a = 0, "How the kernel for a token count does its work, as text.")
      .def(
          "source",
          [](const BoundOperator& self, std::int64_t tokens, int alignment, std::size_t workspace_bytes) {
            const Operator& op = self.op();
            const WithoutGil others_run;
            return op.source(tokens, alignment, workspace_bytes);
          },
          "tokens"_a, "alignment"_a = 16, "workspace_bytes"_a = 0, "The generated text: CUDA source, or LLVM IR on the CPU.")
      .def(
          "boundaries", [](const BoundOperator& self) { return self.op().boundaries(); },
          "First token counts of the ranges that have a schedule each.")
      .def("__copy__", itself, nb::sig("def __copy__(self) -> Operator"))
      .def("__deepcopy__", itself_of_all, "memo"_a, nb::sig("def __deepcopy__(self, memo: Any) -> Operator"))
      .def("__repr__", [](const BoundOperator& self) {
        return "isofold.Operator(\"" + text(self.description().spec()) + "\")";
      });
}

}  // namespace

NB_MODULE(_core, m) {
  nb::set_leak_warnings(false);  // handles may outlive the interpreter
  m.attr("__version__") = nb::str(version().data(), version().size());
  bind_errors(m);
  bind_runtime(m);
  bind_operator(m);
  bind_eager(m);
  bind_messages(m);
  m.def(
      "spec",
      [](const std::string& op, std::optional<std::int64_t> n, const nb::object& dtype,
         const nb::kwargs& options) { return text(spec_of(op, n, dtype, options)); },
      "op"_a, "n"_a = nb::none(), "dtype"_a = nb::none(), "options"_a,
      nb::sig("def spec(op: str, n: int | None = None, dtype: DType | None = None, **options: Option) -> str"),
      "The Spec's text of an operator, as Runtime.operator takes it.");
  m.def(
      "named_operators",
      [] {
        nb::typed<nb::dict, nb::str, nb::str> names;
        for (const NamedOperator& named : named_operators())
          names[nb::str(named.name.data(), named.name.size())] =
              nb::str(named.summary.data(), named.summary.size());
        return names;
      },
      "Names of operators, each with a line that describes it.");
  m.def("_finish_calls", &finish_calls);
}

}  // namespace isofold::python
