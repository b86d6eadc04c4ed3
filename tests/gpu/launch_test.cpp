// Launching on a GPU as an application does: streams, threads, contexts, graph capture.
#include <isofold/isofold.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "device_call.hpp"
#include "runtime_impl.hpp"
#include "support/error_text.hpp"

using namespace isofold;
using namespace isofold::testing;

namespace {

Runtime gpu() { return Runtime({.device = "cuda:0", .cache_folder = "off", .tables = {}}); }

/// One dense call of an operator on the device.
struct DenseCall {
  DenseCall(const Runtime& runtime, const Operator& op, std::int64_t tokens, std::uint64_t seed = 1)
      : call(op.spec(), op.fold(), {.tokens = tokens, .seed = seed}),
        queue(runtime.impl()->store().target()) {
    for (const HostTensor& tensor : call.inputs()) {
      const auto bytes = static_cast<std::size_t>(tensor.rows() * tensor.n()) * size_of(tensor.dtype());
      buffers.push_back(std::make_unique<WorkBuffer>(queue, bytes));
      buffers.back()->upload(tensor.row(0), bytes);
      inputs.push_back({buffers.back()->data()});
    }
    for (const HostTensor& tensor : call.outputs()) {
      const auto bytes = static_cast<std::size_t>(tensor.rows() * tensor.n()) * size_of(tensor.dtype());
      buffers.push_back(std::make_unique<WorkBuffer>(queue, bytes));
      outputs.push_back({buffers.back()->data()});
    }
    clear();
  }
  void clear() {
    for (std::size_t i = inputs.size(); i < buffers.size(); ++i) buffers[i]->fill(0xee);
    queue.synchronize();
  }
  void launch(const Operator& op, CUstream_st* stream, const Workspace& workspace = {}) const {
    op.launch(stream, inputs, outputs, call.tokens(), workspace);
  }
  /// The stream that was launched on has been waited for.
  bool right() {
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const WorkBuffer& buffer = *buffers[inputs.size() + i];
      std::vector<std::byte> actual(buffer.bytes());
      buffer.download(actual.data(), actual.size());
      if (std::memcmp(actual.data(), call.expected()[i].row(0), actual.size()) != 0) return false;
    }
    return true;
  }
  Call call;
  WorkQueue queue;
  std::vector<std::unique_ptr<WorkBuffer>> buffers;
  std::vector<ConstTensor> inputs;
  std::vector<MutableTensor> outputs;
};

}  // namespace

TEST_CASE("a prepared launch can be captured and replayed") {
  const Runtime runtime = gpu();
  Operator op = runtime.rms_norm({.n = 4096, .residual = true});
  const Stream stream(runtime.impl()->context());
  for (const std::int64_t tokens : {1, 8, 300}) {
    op.prepare(std::vector{tokens});
    DenseCall call(runtime, op, tokens);
    const GraphExec graph(stream, [&] {
      call.launch(op, stream.get());
      call.launch(op, stream.get());
    });
    CHECK(graph.size() == 2);
    stream.synchronize();
    CHECK(!call.right());  // recorded, not run
    for (int replay = 0; replay < 3; ++replay) {
      call.clear();
      graph.launch(stream.get());
      stream.synchronize();
      CHECK(call.right());
    }
  }
}

TEST_CASE("rows of millions of elements use a workspace, more or less of it, or none: the same bits") {
  const Runtime runtime = gpu();
  const Stream stream(runtime.impl()->context());
  const std::int64_t n = (std::int64_t{1} << 21) + 24;
  for (const Spec& spec : {row_reduction({.n = n, .dtype = DType::bf16}), softmax({.n = n}), layer_norm({.n = n, .dtype = DType::bf16})}) {
    CAPTURE(text(spec));
    const Operator op = runtime.make_operator(spec);
    for (const std::int64_t tokens : {1, 3}) {
      const std::size_t bytes = op.workspace_bytes(tokens);
      REQUIRE(bytes > 0);
      const bool splits = op.plan(tokens, 16, bytes).gpu().split == Split::workspace;
      CHECK((splits || tokens > 1));  // several rows may be faster in clusters
      CHECK(op.plan(tokens, 16, 0).gpu().split != Split::workspace);
      op.prepare(std::vector{tokens});
      DenseCall call(runtime, op, tokens);
      const WorkBuffer workspace(call.queue, bytes);
      workspace.fill(0xff);
      call.queue.synchronize();
      for (const std::size_t given : {bytes, bytes - 1, std::size_t{0}}) {
        CAPTURE(given);
        call.clear();
        call.launch(op, stream.get(), {workspace.data(), given});
        stream.synchronize();
        CHECK(call.right());
      }
      call.clear();
      const GraphExec graph(stream, [&] { call.launch(op, stream.get(), {workspace.data(), bytes}); });
      CHECK(graph.size() == (splits ? passes(spec).size() + 1 : 1));
      for (int replay = 0; replay < 2; ++replay) {
        call.clear();
        graph.launch(stream.get());
        stream.synchronize();
        CHECK(call.right());
      }
    }
  }
}

TEST_CASE("a miss inside a capture is an error that names the kernel and leaves the capture valid") {
  const Runtime runtime = gpu();
  const Context& context = *runtime.impl()->context();
  Operator prepared = runtime.rms_norm({.n = 2048});
  prepared.prepare(std::vector<std::int64_t>{4});
  const Operator missing = runtime.rms_norm({.n = 2048, .residual = true});
  DenseCall call(runtime, prepared, 4), other(runtime, missing, 4);
  const Stream stream(runtime.impl()->context());
  for (const auto mode : {cuda::CU_STREAM_CAPTURE_MODE_GLOBAL, cuda::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL,
                          cuda::CU_STREAM_CAPTURE_MODE_RELAXED}) {
    const CurrentContext current(context);
    REQUIRE(context.api().cuStreamBeginCapture_v2(stream.get(), mode) == cuda::CUDA_SUCCESS);
    call.launch(prepared, stream.get());
    const std::string message = usage_error([&] { other.launch(missing, stream.get()); });
    CHECK(contains(message, "add_rms_norm-" + digest_of(missing.plan(4))));
    CHECK(contains(message, "The capture is still valid"));
    auto status = cuda::CU_STREAM_CAPTURE_STATUS_NONE;
    CHECK(context.api().cuStreamIsCapturing(stream.get(), &status) == cuda::CUDA_SUCCESS);
    CHECK(status == cuda::CU_STREAM_CAPTURE_STATUS_ACTIVE);
    call.launch(prepared, stream.get());
    cuda::CUgraph graph = nullptr;
    REQUIRE(context.api().cuStreamEndCapture(stream.get(), &graph) == cuda::CUDA_SUCCESS);
    std::size_t nodes = 0;
    CHECK(context.api().cuGraphGetNodes(graph, nullptr, &nodes) == cuda::CUDA_SUCCESS);
    CHECK(nodes == 2);
    context.api().cuGraphDestroy(graph);
  }
  other.launch(missing, stream.get());  // outside, the same launch compiles
  stream.synchronize();
  CHECK(other.right());
}

TEST_CASE("preparing in one thread does not disturb a capture in another") {
  const Runtime runtime = gpu();
  const Context& context = *runtime.impl()->context();
  Operator op = runtime.rms_norm({.n = 3072});
  op.prepare(std::vector<std::int64_t>{2});
  DenseCall call(runtime, op, 2);
  const Stream stream(runtime.impl()->context());
  const CurrentContext current(context);
  REQUIRE(context.api().cuStreamBeginCapture_v2(stream.get(), cuda::CU_STREAM_CAPTURE_MODE_GLOBAL) ==
          cuda::CUDA_SUCCESS);
  call.launch(op, stream.get());
  std::string failure;
  std::thread([&] {
    failure = usage_error([&] {
      runtime.rms_norm({.n = 3072, .residual = true}).prepare(std::vector<std::int64_t>{1, 100});
      gpu().rms_norm({.n = 96}).prepare(std::vector<std::int64_t>{1});  // a whole runtime with its probe
    });
  }).join();
  CHECK(failure == "");
  cuda::CUgraph graph = nullptr;
  CHECK(context.api().cuStreamEndCapture(stream.get(), &graph) == cuda::CUDA_SUCCESS);
  if (graph != nullptr) context.api().cuGraphDestroy(graph);
}

TEST_CASE("threads launch the same operator on streams of their own") {
  const Runtime runtime = gpu();
  Operator op = runtime.rms_norm({.n = 1024, .residual = true});
  op.prepare_up_to(64);
  std::vector<int> wrong(8, 0);
  {
    std::vector<std::jthread> threads;
    for (std::size_t thread = 0; thread < wrong.size(); ++thread)
      threads.emplace_back([&, thread] {
        const Stream stream(runtime.impl()->context());
        DenseCall call(runtime, op, static_cast<std::int64_t>(1 + 9 * thread), thread);
        for (int round = 0; round < 50; ++round) {
          call.clear();
          call.launch(op, stream.get());
          stream.synchronize();
          wrong[thread] += !call.right();
        }
      });
  }
  for (const int count : wrong) CHECK(count == 0);
}

TEST_CASE("threads that miss the same kernel wait for one compile, and all get it") {
  const Runtime runtime = gpu();
  const Operator op = runtime.rms_norm({.n = 1536});
  std::vector<int> right(8, 0);
  {
    std::vector<std::jthread> threads;
    for (std::size_t thread = 0; thread < right.size(); ++thread)
      threads.emplace_back([&, thread] {
        const Stream stream(runtime.impl()->context());
        DenseCall call(runtime, op, 5, thread);
        call.launch(op, stream.get());
        stream.synchronize();
        right[thread] = call.right();
      });
  }
  for (const int is_right : right) CHECK(is_right == 1);
}

TEST_CASE("the caller's current context stays what it was") {
  const Runtime runtime = gpu();
  Operator op = runtime.rms_norm({.n = 512});
  op.prepare(std::vector<std::int64_t>{3});
  DenseCall call(runtime, op, 3);
  const Stream stream(runtime.impl()->context());
  const auto& api = runtime.impl()->context()->api();
  std::thread([&] {
    cuda::CUcontext now = nullptr;
    CHECK(api.cuCtxGetCurrent(&now) == cuda::CUDA_SUCCESS);
    CHECK(now == nullptr);
    call.launch(op, stream.get());
    CHECK(api.cuCtxGetCurrent(&now) == cuda::CUDA_SUCCESS);
    CHECK(now == nullptr);
  }).join();
  stream.synchronize();
  CHECK(call.right());
}

TEST_CASE("the null stream is a stream like any other") {
  const Runtime runtime = gpu();
  const Operator op = runtime.rms_norm({.n = 512});
  DenseCall call(runtime, op, 3);
  call.launch(op, nullptr);
  runtime.impl()->context()->synchronize();
  CHECK(call.right());
}

TEST_CASE("no tokens: success, nothing is launched, nothing is looked at") {
  const Runtime runtime = gpu();
  const Operator op = runtime.rms_norm({.n = 512});
  const Stream stream(runtime.impl()->context());
  CHECK_NOTHROW(op.launch(stream.get(), RmsNormArguments{}, 0));
  const GraphExec graph(stream, [&] { op.launch(stream.get(), RmsNormArguments{}, 0); });
  CHECK(graph.size() == 0);
}

TEST_CASE("a launch refused for its arguments writes nothing") {
  const Runtime runtime = gpu();
  Operator op = runtime.rms_norm({.n = 512});
  DenseCall call(runtime, op, 3);
  const Stream stream(runtime.impl()->context());
  auto outputs = call.outputs;
  outputs[0].row_stride = 511;
  CHECK(
      contains(usage_error([&] { op.launch(stream.get(), call.inputs, outputs, 3); }), "the row stride is 511"));
  CHECK(contains(usage_error([&] { op.launch(stream.get(), call.inputs, call.outputs, -1); }), "tokens is -1"));
  stream.synchronize();
  std::vector<std::byte> actual(call.buffers.back()->bytes());
  call.buffers.back()->download(actual.data(), actual.size());
  for (const std::byte byte : actual) REQUIRE(byte == std::byte{0xee});
}

TEST_CASE("more rows than a grid has blocks are refused") {
  const Runtime runtime = gpu();
  Operator op = runtime.rms_norm({.n = 1, .weight = false});
  op.prepare(std::vector<std::int64_t>{std::int64_t{1} << 40});
  // The pointers are never read: the check comes first.
  const RmsNormArguments arguments{.x = {reinterpret_cast<void*>(std::uintptr_t{1} << 46)},
                                   .residual = {},
                                   .weight = nullptr,
                                   .y = {reinterpret_cast<void*>(std::uintptr_t{1} << 45)},
                                   .residual_out = {}};
  CHECK(contains(usage_error([&] { op.launch(nullptr, arguments, std::int64_t{1} << 43); }), "tokens is"));
}

TEST_CASE("host time of a launch, for people") {
  const Runtime runtime = gpu();
  Operator op = runtime.rms_norm({.n = 4096, .residual = true});
  op.prepare(std::vector<std::int64_t>{1});
  DenseCall call(runtime, op, 1);
  const Stream stream(runtime.impl()->context());
  using Clock = std::chrono::steady_clock;
  for (int warm = 0; warm < 2; ++warm) {
    const auto start = Clock::now();
    for (int i = 0; i < 500; ++i) call.launch(op, stream.get());
    const double microseconds = std::chrono::duration<double, std::micro>(Clock::now() - start).count() / 500;
    stream.synchronize();
    if (warm == 1) MESSAGE("one launch takes ", microseconds, " us of host time");
  }
  CHECK(call.right());
}
