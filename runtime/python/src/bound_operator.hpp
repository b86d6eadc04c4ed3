#pragma once
#include <nanobind/nanobind.h>
#include <isofold/runtime.hpp>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor_view.hpp"

namespace isofold::python {

/// The process that a handle was made in. A GPU's driver does not survive a fork.
class Home {
 public:
  explicit Home(const Runtime& runtime);
  bool on_gpu() const { return ordinal_ >= 0; }
  int ordinal() const { return ordinal_; }
  bool is_here() const;
  /// Throws UsageError in a child process when the device is a GPU.
  void check() const;

 private:
  int ordinal_;  // of the GPU, -1: the CPU
  int generation_;
};

/// Throws UsageError where a Runtime on `device` cannot be made because the parent process used a GPU.
void check_no_gpu_before_fork(const std::string& device);

/// A handle that a child process does not release: the driver behind it belongs to the parent.
template <class Handle>
class Held {
 public:
  Held(Handle handle, const Home& home) : home_(home), handle_(std::make_unique<Handle>(std::move(handle))) {}
  Held(Held&&) = default;
  ~Held() {
    if (handle_ && home_.on_gpu() && !home_.is_here()) static_cast<void>(handle_.release());
  }
  const Home& home() const { return home_; }
  Handle& get() const {
    home_.check();
    return *handle_;
  }
  /// For what does not touch the device.
  const Handle& description() const { return *handle_; }

 private:
  Home home_;
  std::unique_ptr<Handle> handle_;
};

/// A tensor of a Spec, input or output.
struct TensorFacts {
  std::string name;
  DType dtype = DType::f32;
  Extent extent = Extent::row;
  int groups = 1;
  bool output = false;
};

class BoundOperator {
 public:
  BoundOperator(Operator op, const Home& home);

  const Operator& description() const { return held_.description(); }
  const Operator& op() const { return held_.get(); }
  const Home& home() const { return held_.home(); }
  std::span<const TensorFacts> tensors() const { return tensors_; }
  std::size_t inputs() const { return inputs_; }

  /// Inputs by place or name, then outputs; `stream` and `workspace` among the names.
  void launch(const nanobind::args& places, const nanobind::kwargs& names) const;
  /// The same with outputs that are made here.
  nanobind::object call(const nanobind::args& places, const nanobind::kwargs& names) const;
  /// Enqueues over tensors in the Spec's order. `names` may have a `stream`, else it is the framework's current one, and a
  /// `workspace`.
  void launch_views(std::span<const TensorView> views, const nanobind::kwargs& names) const;

 private:
  std::vector<nanobind::object> collect(const nanobind::args& places, const nanobind::kwargs& names,
                                        std::size_t count) const;
  bool is_here(const TensorView& view) const;
  Workspace workspace_of(nanobind::handle array) const;
  Held<Operator> held_;
  std::vector<TensorFacts> tensors_;
  std::size_t inputs_ = 0;
};

/// The framework's current stream on the device of these tensors, or the one that `stream` stands for: an
/// address, or an object with `cuda_stream`, `ptr` or `__cuda_stream__`.
CUstream_st* stream_of(nanobind::handle stream, std::span<const TensorView> views, int ordinal);

/// What a tensor of a call comes to: its rows (tokens) and their distance. Throws UsageError when it does not
/// suit.
Rows check_tensor(const Spec& spec, const TensorFacts& facts, const TensorView& view);

/// Throws UsageError for a tensor that PyTorch would have to differentiate, or whose memory does not hold its numbers.
void check_plain(nanobind::handle tensor, std::string_view name);

}  // namespace isofold::python
