#include <fmt/format.h>

#include <isofold/error.hpp>

#include "callable.hpp"
#include "element.hpp"
#include "runtime_impl.hpp"
#include "work_buffer.hpp"

namespace isofold::tools {
namespace {

class OperatorCallable final : public Callable {
 public:
  OperatorCallable(const Runtime& runtime, const Problem& problem, const std::optional<Plan>& plan)
      : runtime_(runtime),
        spec_(problem.spec),
        operator_(runtime.make_operator(problem.spec, problem.fold)),
        layout_(problem.spec),
        queue_(runtime.impl()->store().target()) {
    if (plan) kernel_ = runtime.impl()->store().kernel(*plan);
    const Spec& spec = problem.spec;
    for (const Tensor& tensor : spec.inputs)
      if (tensor.extent == Extent::token || tensor.dtype == DType::i32)
        throw UsageError(fmt::format("{} reads {}, numbers for each token: probe looks into functions of rows alone", spec.op,
                                     tensor.name));
    while (x_ < spec.inputs.size() && spec.inputs[x_].extent != Extent::row) ++x_;
    if (x_ == spec.inputs.size()) throw UsageError(fmt::format("{} has no rows to read", spec.op));
  }

  std::vector<double> call(std::span<const float> rows, std::int64_t tokens, std::int64_t n) override {
    if (n != spec_.n) throw UsageError(fmt::format("{} reads rows of {} elements, not {}", spec_.op, spec_.n, n));
    if (tokens != tokens_) allocate(tokens);
    std::vector<std::byte> bytes(buffers_[x_].bytes());
    for (std::int64_t i = 0; i < std::ssize(rows); ++i)
      put_element(bytes.data(), spec_.inputs[x_].dtype, i, static_cast<double>(rows[static_cast<std::size_t>(i)]));
    buffers_[x_].upload(bytes.data(), bytes.size());
    if (kernel_) {
      Parameters parameters;
      layout_.bind(from_, to_, tokens, parameters);
      kernel_->launch(queue_.stream(), parameters, tokens, workspace_->data());
    } else {
      operator_.launch(queue_.stream(), from_, to_, tokens);
    }
    const Output& first = spec_.outputs.front();
    const WorkBuffer& buffer = buffers_[spec_.inputs.size()];
    bytes.resize(buffer.bytes());
    buffer.download(bytes.data(), bytes.size());
    std::vector<double> results(static_cast<std::size_t>(tokens * row_elements(spec_, first.extent)));
    for (std::size_t i = 0; i < results.size(); ++i)
      results[i] = static_cast<double>(element(bytes.data(), first.dtype, static_cast<std::int64_t>(i)));
    return results;
  }
  DType dtype() const override { return spec_.inputs[x_].dtype; }
  std::string name() const override {
    return fmt::format("{} of Isofold on {}{}", spec_.op, runtime_.device_name(),
                       kernel_ ? ", " + text(kernel_->plan().schedule()) : "");
  }

 private:
  /// Tensors for calls over so many rows; all elements but x's are 1.
  void allocate(std::int64_t tokens) {
    buffers_.clear();
    from_.clear();
    to_.clear();
    for (const Tensor& tensor : spec_.inputs) {
      const std::int64_t elements = row_elements(spec_, tensor.extent) * rows_held(tensor, in_whole_groups(spec_, tokens));
      std::vector<std::byte> bytes(static_cast<std::size_t>(elements) * size_of(tensor.dtype));
      for (std::int64_t i = 0; i < elements; ++i) put_element(bytes.data(), tensor.dtype, i, 1.0);
      const WorkBuffer& buffer = buffers_.emplace_back(queue_, bytes.size());
      buffer.upload(bytes.data(), bytes.size());
      from_.push_back({buffer.data(), 0});
    }
    for (const Output& output : spec_.outputs) {
      const std::int64_t elements = row_elements(spec_, output.extent) * in_whole_groups(spec_, tokens);
      to_.push_back({buffers_.emplace_back(queue_, static_cast<std::size_t>(elements) * size_of(output.dtype)).data(), 0});
    }
    if (kernel_) workspace_ = std::make_unique<WorkBuffer>(queue_, kernel_->workspace_bytes(tokens));
    queue_.synchronize();
    tokens_ = tokens;
  }

  Runtime runtime_;
  Spec spec_;
  Operator operator_;
  ArgumentLayout layout_;
  WorkQueue queue_;
  std::shared_ptr<const Kernel> kernel_;
  std::size_t x_ = 0;
  std::int64_t tokens_ = 0;  // of the tensors
  std::vector<WorkBuffer> buffers_;
  std::unique_ptr<WorkBuffer> workspace_;
  std::vector<ConstTensor> from_;
  std::vector<MutableTensor> to_;
};

}  // namespace

std::unique_ptr<Callable> operator_callable(const Runtime& runtime, const Problem& problem, const std::optional<Plan>& plan) {
  return std::make_unique<OperatorCallable>(runtime, problem, plan);
}

}  // namespace isofold::tools
