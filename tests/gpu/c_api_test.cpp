// The C API on a GPU: the oracle's bits, CUDA graphs, and handles in the child of a fork.
#include <isofold.h>
#include <isofold/isofold.hpp>

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "device_call.hpp"
#include "runtime_impl.hpp"
#include "support/error_text.hpp"

using namespace isofold;
using namespace isofold::testing;

namespace {

/// Handles of the shared library, beside a Runtime of the static one that gives the test its memory and streams.
struct Handles {
  explicit Handles(const std::string& spec) {
    isofold_runtime_options options{};
    options.struct_size = sizeof options;
    options.device = "cuda:0";
    options.cache_folder = "off";
    REQUIRE_MESSAGE(isofold_runtime_create(&options, &runtime) == ISOFOLD_OK, isofold_last_error());
    isofold_operator_options make{};
    make.struct_size = sizeof make;
    make.spec = spec.c_str();
    REQUIRE_MESSAGE(isofold_operator_create(runtime, &make, &op) == ISOFOLD_OK, isofold_last_error());
  }
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
  ~Handles() {
    CHECK(isofold_runtime_release(runtime) == ISOFOLD_OK);
    CHECK(isofold_operator_release(op) == ISOFOLD_OK);
  }

  isofold_status prepare(std::int64_t max_tokens) const {
    isofold_prepare_options options{};
    options.struct_size = sizeof options;
    options.max_tokens = max_tokens;
    return isofold_operator_prepare(op, &options);
  }
  isofold_status launch(CUstream_st* stream, std::span<const ConstTensor> inputs, std::span<const MutableTensor> outputs,
                        std::int64_t tokens, void* workspace = nullptr, std::size_t workspace_bytes = 0) const {
    std::vector<isofold_const_tensor> in;
    std::vector<isofold_tensor> out;
    for (const ConstTensor& tensor : inputs) in.push_back({tensor.data, tensor.row_stride, 0});
    for (const MutableTensor& tensor : outputs) out.push_back({tensor.data, tensor.row_stride, 0});
    isofold_launch_options options{};
    options.struct_size = sizeof options;
    options.inputs = in.data();
    options.input_count = in.size();
    options.outputs = out.data();
    options.output_count = out.size();
    options.tokens = tokens;
    options.stream = stream;
    options.workspace = workspace;
    options.workspace_bytes = workspace_bytes;
    return isofold_operator_launch(op, &options);
  }

  isofold_runtime* runtime = nullptr;
  isofold_operator* op = nullptr;
};

Runtime gpu() { return Runtime({.device = "cuda:0", .cache_folder = "off", .tables = {}}); }

}  // namespace

TEST_CASE("launches through the C API have the oracle's bits") {
  const Runtime memory = gpu();
  const DeviceArena arena(memory, std::size_t{64} << 20);
  for (const Spec& spec : {rms_norm({.n = 4096, .residual = true}), softmax({.n = 1000}), cross_entropy({.n = 777})}) {
    const Handles handles(text(spec));
    for (const std::int64_t tokens : {1, 7, 300}) {
      Call call(spec, default_fold(spec), {.tokens = tokens, .seed = 3});
      CHECK(fault_on_device(arena, call, [&](CUstream_st* stream, std::span<const ConstTensor> inputs,
                                             std::span<const MutableTensor> outputs, std::int64_t count) {
              CHECK_MESSAGE(handles.launch(stream, inputs, outputs, count) == ISOFOLD_OK, isofold_last_error());
            }) == "");
    }
  }
}

TEST_CASE("a row of two million elements uses the caller's workspace: the same bits") {
  const Runtime memory = gpu();
  const DeviceArena arena(memory, std::size_t{64} << 20);
  const Spec spec = softmax({.n = (std::int64_t{1} << 21) + 8});
  const Handles handles(text(spec));
  std::size_t bytes = 0;
  REQUIRE(isofold_operator_workspace(handles.op, 1, &bytes) == ISOFOLD_OK);
  REQUIRE(bytes > 0);
  std::string schedule(300, '\0');
  REQUIRE(isofold_operator_query(handles.op, ISOFOLD_OPERATOR_SCHEDULE, 1, 0, bytes, schedule.data(), schedule.size(), nullptr) == ISOFOLD_OK);
  CHECK(contains(schedule, "split=workspace"));
  const DeviceBuffer workspace(memory.impl()->context(), bytes);
  for (const std::size_t given : {bytes, std::size_t{0}}) {
    Call call(spec, default_fold(spec), {.tokens = 1, .seed = 3});
    CHECK(fault_on_device(arena, call, [&](CUstream_st* stream, std::span<const ConstTensor> inputs,
                                           std::span<const MutableTensor> outputs, std::int64_t count) {
            CHECK_MESSAGE(handles.launch(stream, inputs, outputs, count, given > 0 ? workspace.data() : nullptr, given) == ISOFOLD_OK,
                          isofold_last_error());
          }) == "");
  }
}

TEST_CASE("a prepared launch is captured, an unprepared one is an error that leaves the capture valid") {
  const Runtime memory = gpu();
  const Spec spec = row_reduction({.n = 512, .dtype = DType::f32});
  const Handles prepared(text(spec)), unprepared(text(spec));
  CHECK(prepared.prepare(64) == ISOFOLD_OK);
  const Stream stream(memory.impl()->context());
  const DeviceBuffer x(memory.impl()->context(), 64 * 512 * 4), y(memory.impl()->context(), 64 * 4);
  const ConstTensor input{x.data()};
  const MutableTensor output{y.data()};
  const GraphExec graph(stream, [&] {
    CHECK_MESSAGE(prepared.launch(stream.get(), {&input, 1}, {&output, 1}, 64) == ISOFOLD_OK, isofold_last_error());
    CHECK(unprepared.launch(stream.get(), {&input, 1}, {&output, 1}, 64) == ISOFOLD_ERROR_USAGE);
    CHECK(contains(isofold_last_error(), "which is not prepared, and the stream is being captured"));
  });
  CHECK(graph.size() == 1);
  graph.launch(stream.get());
  stream.synchronize();
}

TEST_CASE("in the child of a fork handles of a GPU say so, in C and in C++") {
  const Runtime runtime = gpu();
  const Spec spec = row_reduction({.n = 512, .dtype = DType::f32});
  const Operator op = runtime.make_operator(spec);
  op.prepare(std::vector<std::int64_t>{1});
  const DeviceBuffer x(runtime.impl()->context(), 512 * 4), y(runtime.impl()->context(), 4);
  const ConstTensor input{x.data()};
  const MutableTensor output{y.data()};
  const Handles handles(text(spec));
  const pid_t child = fork();
  if (child == 0) {
    if (handles.launch(nullptr, {&input, 1}, {&output, 1}, 1) != ISOFOLD_ERROR_FORK) _exit(1);
    try {
      op.launch(nullptr, {&input, 1}, {&output, 1}, 1);
      _exit(2);
    } catch (const UsageError& error) {
      _exit(contains(error.what(), "was opened before this process was forked") ? 0 : 3);
    }
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(handles.launch(nullptr, {&input, 1}, {&output, 1}, 1) == ISOFOLD_OK);
  runtime.impl()->context()->synchronize();
}
