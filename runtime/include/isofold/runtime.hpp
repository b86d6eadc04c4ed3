#pragma once
#include <isofold/codegen/device_traits.hpp>
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/layer_norm.hpp>
#include <isofold/codegen/plan.hpp>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/codegen/schedule.hpp>
#include <isofold/codegen/spec.hpp>
#include <isofold/error.hpp>
#include <isofold/export.hpp>
#include <isofold/log.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct CUstream_st;  // a CUDA stream is CUstream_st*, whether CUstream or cudaStream_t

namespace isofold {  // not exported
class RuntimeImpl;
class OperatorImpl;
}  // namespace isofold

namespace ISOFOLD_API isofold {

struct RuntimeOptions {
  /// "auto" (the first CUDA device that works, else the CPU), "cuda:<index>" or "cpu".
  /// Empty: environment variable ISOFOLD_DEVICE, else "auto".
  std::string device;
  /// Folder of the disk cache; empty: ISOFOLD_CACHE, else the user's own cache folder. "off": memory
  /// only.
  std::string cache_folder;
  /// Tuning tables (files or folders) that are read besides those that come with the library; later ones win.
  std::vector<std::string> tables;
  /// Files of kernels that `isofold bundle` built, besides those of ISOFOLD_BUNDLES; later ones win. An operator that one of
  /// them has launches the bundle's schedules, whatever the tables say.
  std::vector<std::string> bundles{};
  /// Nothing is compiled, no compiler is opened: a kernel that no bundle has is a UsageError that names it. Also with
  /// ISOFOLD_REQUIRE=bundled.
  bool require_bundled = false;
  /// Preparing or launching a token count for which the cost model, not a measurement, chooses the schedule is a UsageError.
  /// Also with ISOFOLD_REQUIRE=tuned.
  bool require_tuned = false;
  /// File to which the operators and token counts that are launched are written, about once a second and at the end, for
  /// `isofold tune --from`; empty: ISOFOLD_RECORD, else nothing is recorded. Processes may share it. A launch into a CUDA graph
  /// counts once, replays do not.
  std::string record{};
  /// Preparing and launching are shown to a profiler (Nsight Systems) as NVTX ranges. Also with ISOFOLD_NVTX=on.
  bool nvtx = false;
  /// Which messages are given; absent: ISOFOLD_LOG, else warnings and errors.
  std::optional<LogLevel> log_level = {};
  /// Where they go, until the last handle and operator are gone; empty: lines on standard error.
  LogSink log = {};
};

/// One tensor of a launch: its first element and, for rows and numbers per token, the distance from one to the next in
/// elements; of rows that lie in groups from group to group. row_stride 0 stands for dense ones: N, groups * N, or 1. Columns and
/// scalars ignore it. With groups every row of a group is a token; the last group may be begun only.
struct ConstTensor {
  const void* data = nullptr;
  std::int64_t row_stride = 0;
};
struct MutableTensor {
  void* data = nullptr;
  std::int64_t row_stride = 0;
};

/// What `Workspace::data` is a multiple of, in bytes.
inline constexpr std::size_t workspace_alignment = 256;

/// Device memory that a launch may write besides its outputs: where long rows are shared by more blocks than a cluster holds, these
/// meet there. Nothing has to be in it, and nothing of use is in it afterwards. It belongs to the launch until that is done;
/// launches that may run at the same time must not share it, nor may it overlap tensors (not checked).
struct Workspace {
  void* data = nullptr;
  std::size_t bytes = 0;
};

/// Arguments of rms_norm and add_rms_norm. Shapes: x, residual, y, residual_out [tokens, N] with their row
/// strides, weight [N]. On a CUDA device pointers are device-accessible, on the CPU plain. y may be x's or
/// residual's very buffer, residual_out residual's or x's (same stride and dtype): each row is read before it
/// is written; any other overlap is an error.
struct RmsNormArguments {
  ConstTensor x;
  ConstTensor residual;
  const void* weight = nullptr;
  MutableTensor y;
  MutableTensor residual_out;
};

/// What an operator runs for a token count.
struct Choice {
  GpuSchedule gpu;       // when on a CUDA device
  CpuSchedule cpu;       // when on the CPU
  std::string schedule;  // text of the one that counts
  std::string origin;    // "table <file>:<line>", "tuned in this process", "cost model", or "bundle <file> (<one of these>)"
};

struct PrepareOptions {
  /// Every pointer and row stride of the launches to come is a multiple of this many bytes (a power of two).
  /// What is aligned better is prepared for as well.
  int alignment = 16;
};

/// A prepared computation for one (Spec, Fold, device). A cheap handle: copies share one state.
/// All members are thread-safe.
class Operator {
 public:
  const Spec& spec() const;
  const Fold& fold() const;
  /// Equal ids on two machines mean equal output bits for equal inputs.
  std::string bits_id() const;

  /// Compiles and loads what launches over these token counts (each >= 1) need. Another thread may be
  /// capturing a stream meanwhile. The first use of a runtime's device also runs the numerics probe. Throws
  /// UsageError for a count below 1, an alignment that is no power of two or less than an element, and when
  /// the device fails the probe; with require_bundled for what no bundle has, with require_tuned for what was not measured.
  void prepare(std::span<const std::int64_t> tokens, const PrepareOptions& options = {}) const;
  /// The same for every token count from 1 to max_tokens.
  void prepare_up_to(std::int64_t max_tokens, const PrepareOptions& options = {}) const;

  /// Enqueues the computation of `tokens` rows. tokens == 0 succeeds and does nothing. `stream` belongs to the
  /// device's primary context, the one of the CUDA runtime and so of PyTorch, whatever context is current; a null
  /// stream is that context's legacy stream. On the CPU it is ignored and the call returns when the result is there.
  /// The operator, or the runtime it came from, outlives the launch and every CUDA graph that has it. After `prepare` for this token count and
  /// alignment the call allocates nothing, does not synchronise, and may be captured in a CUDA graph;
  /// without, it compiles first, or, inside a capture, throws UsageError naming the missing kernel and leaves
  /// the capture valid. Throws UsageError, before anything is written, for null or misaligned pointers, a
  /// stride below N, overlapping buffers that are not identical, or tokens < 0 or too large.
  void launch(CUstream_st* stream, const RmsNormArguments& arguments, std::int64_t tokens, const Workspace& workspace = {}) const;

  /// The general form: tensors in the Spec's order. With a workspace of at least `workspace_bytes(tokens)` a launch over few long rows
  /// may be faster; with less, or none, the bits are the same. UsageError also for a workspace that is null or not aligned to
  /// `workspace_alignment`.
  void launch(CUstream_st* stream, std::span<const ConstTensor> inputs,
              std::span<const MutableTensor> outputs, std::int64_t tokens, const Workspace& workspace = {}) const;
  /// Bytes of workspace with which launches over up to `max_tokens` rows are fastest; 0 where none helps, and on the CPU. UsageError
  /// for max_tokens < 0.
  std::size_t workspace_bytes(std::int64_t max_tokens) const;

  /// The plan of the kernel that a launch over `tokens` rows (>= 1) uses when all pointers and row strides
  /// are multiples of `alignment` bytes and it may use so many bytes of workspace.
  Plan plan(std::int64_t tokens, int alignment = 16, std::size_t workspace_bytes = 0) const;
  /// The schedule of that plan, and why it is used.
  Choice choice(std::int64_t tokens, int alignment = 16, std::size_t workspace_bytes = 0) const;
  /// Generated text of that kernel: CUDA source, or LLVM IR on the CPU.
  std::string source(std::int64_t tokens, int alignment = 16, std::size_t workspace_bytes = 0) const;
  /// Token counts at which the schedule changes: first counts of each range, ascending, beginning with 1.
  std::vector<std::int64_t> boundaries() const;

  /// Internal handle; stable for the library's own tools.
  const std::shared_ptr<OperatorImpl>& impl() const { return impl_; }
  explicit Operator(std::shared_ptr<OperatorImpl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<OperatorImpl> impl_;
};

/// A device with its caches and tuning tables. A cheap handle, thread-safe; everything it opened is released
/// with the last handle or Operator.
class Runtime {
 public:
  /// Throws UsageError when the device does not exist, is too old or has no compiler (with "auto": when no
  /// device can be used), when a setting of the environment is not allowed, or a table cannot be read.
  explicit Runtime(const RuntimeOptions& options = {});

  const DeviceTraits& device() const;
  /// "cuda:0" or "cpu".
  std::string device_name() const;

  /// Takes well under a millisecond; nothing is compiled. Throws UsageError for options that `rms_norm`
  /// refuses.
  Operator rms_norm(const RmsNormOptions& options) const;
  /// Any Spec of at most 40 tensors with the default fold, or with a given one. Throws UsageError for a Spec
  /// put together by hand that parse_spec would not make, and for a fold that is not well formed.
  Operator make_operator(const Spec& spec, std::optional<Fold> fold = std::nullopt) const;

  /// Internal handle; stable for the library's own tools.
  const std::shared_ptr<RuntimeImpl>& impl() const { return impl_; }

 private:
  std::shared_ptr<RuntimeImpl> impl_;
};

/// Version of the library, for example "0.1.0".
std::string_view version();

}  // namespace isofold
