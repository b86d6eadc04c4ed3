#include "operator_impl.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

namespace isofold {
namespace {

void check(const Workspace& workspace) {
  if (workspace.bytes == 0) return;
  if (workspace.data == nullptr) throw UsageError(fmt::format("workspace is null, its size is {} bytes", workspace.bytes));
  if (reinterpret_cast<std::uintptr_t>(workspace.data) % workspace_alignment != 0)
    throw UsageError(fmt::format("workspace is not aligned to {} bytes", workspace_alignment));
}

}  // namespace

RmsNormNames::RmsNormNames(const Spec& spec) : op_(spec.op) {
  for (const Tensor& tensor : spec.inputs) {
    if (tensor.name == "x" && tensor.extent == Extent::row) {
      inputs_.push_back(Input::x);
    } else if (tensor.name == "residual" && tensor.extent == Extent::row) {
      inputs_.push_back(Input::residual);
      residual_ = true;
    } else if (tensor.name == "weight" && tensor.extent == Extent::column) {
      inputs_.push_back(Input::weight);
      weight_ = true;
    } else {
      foreign_ = tensor.name;
    }
  }
  for (const isofold::Output& output : spec.outputs) {
    if (output.name == "y") {
      outputs_.push_back(Output::y);
    } else if (output.name == "residual_out") {
      outputs_.push_back(Output::residual_out);
      residual_out_ = true;
    } else {
      foreign_ = output.name;
    }
  }
}

void RmsNormNames::check(const RmsNormArguments& arguments) const {
  if (!foreign_.empty())
    throw UsageError(
        fmt::format("{} has a tensor '{}' that rms_norm does not have: pass its tensors in the Spec's order",
                    op_, foreign_));
  const auto absent = [&](bool has, const void* data, const char* name) {
    if (!has && data != nullptr)
      throw UsageError(fmt::format("{} was passed, but this {} was made without one", name, op_));
  };
  absent(residual_, arguments.residual.data, "residual");
  absent(residual_out_, arguments.residual_out.data, "residual_out");
  absent(weight_, arguments.weight, "weight");
}

void RmsNormNames::order(const RmsNormArguments& arguments, std::span<ConstTensor> inputs,
                         std::span<MutableTensor> outputs) const {
  for (std::size_t i = 0; i < inputs_.size(); ++i)
    inputs[i] = inputs_[i] == Input::x          ? arguments.x
                : inputs_[i] == Input::residual ? arguments.residual
                                                : ConstTensor{.data = arguments.weight};
  for (std::size_t i = 0; i < outputs_.size(); ++i)
    outputs[i] = outputs_[i] == Output::y ? arguments.y : arguments.residual_out;
}

OperatorImpl::OperatorImpl(std::shared_ptr<RuntimeImpl> runtime, const Spec& spec, const Fold& fold)
    : runtime_(std::move(runtime)),
      spec_(spec),
      fold_(fold),
      bits_id_(isofold::bits_id(spec, fold)),
      layout_(spec),
      nvtx_(runtime_->nvtx()),
      nvtx_launch_(nvtx_ ? nvtx_->registered(spec.op) : nullptr),
      counts_(runtime_->recorder() ? &runtime_->recorder()->counts(text(spec), text(fold)) : nullptr),
      writes_nothing_(std::none_of(spec.outputs.begin(), spec.outputs.end(),
                                   [&](const isofold::Output& output) { return row_elements(spec, output.extent) > 0; })),
      rms_norm_names_(spec) {}

LaunchTable& OperatorImpl::make_table() const {
  const std::lock_guard guard(mutex_);
  if (LaunchTable* table = current_.load(std::memory_order_acquire)) return *table;
  const DeviceTraits& device = runtime_->device();
  std::vector<LaunchRange> ranges;
  if (const BundleChoice* choice = runtime_->bundles().choice(spec_, fold_, device)) {
    ranges = choice->ranges;
    for (const LaunchRange& range : choice->ranges)
      for (const Schedule& schedule : {range.schedule, range.with_workspace.value_or(range.schedule)})
        if (const PlanResult plan = make_plan(spec_, fold_, schedule, device); !plan && !ranges.empty()) {
          runtime_->log().warning(fmt::format("{}: not used: {}", range.origin, plan.broken_rule()));
          ranges.clear();
        }
  }
  if (ranges.empty()) ranges = chosen_ranges(runtime_->table(), spec_, fold_, device, runtime_->log());
  tables_.push_back(std::make_unique<LaunchTable>(spec_, fold_, device, std::move(ranges)));
  current_.store(tables_.back().get(), std::memory_order_release);
  return *tables_.back();
}

void OperatorImpl::use(std::vector<LaunchRange> ranges) const {
  const std::lock_guard preparing(preparing_);
  auto next = std::make_unique<LaunchTable>(spec_, fold_, runtime_->device(), std::move(ranges));
  // What could be launched without compiling stays so: the new table gets the alignment classes of the old
  // one.
  const LaunchTable& now = table();
  std::vector<std::size_t> all(next->choices());
  std::iota(all.begin(), all.end(), std::size_t{0});
  for (int alignment_class = 0; alignment_class < alignment_classes; ++alignment_class) {
    bool used = false;
    for (std::size_t choice = 0; choice < now.choices(); ++choice)
      used |= now.find(choice, alignment_class) != nullptr;
    if (!used) continue;
    load(*next, all, alignment_class);
    break;
  }
  const std::lock_guard guard(mutex_);
  tables_.push_back(std::move(next));
  current_.store(tables_.back().get(), std::memory_order_release);
}

void OperatorImpl::prepare(std::span<const std::int64_t> tokens, int lowest_class) const {
  const NvtxRange shown(nvtx_, "prepare " + spec_.op, static_cast<std::int64_t>(tokens.size()));
  const std::lock_guard preparing(preparing_);
  LaunchTable& table = this->table();
  load(table, table.choices_of(tokens), lowest_class);
}

void OperatorImpl::prepare_up_to(std::int64_t max_tokens, int lowest_class) const {
  const NvtxRange shown(nvtx_, "prepare " + spec_.op, max_tokens);
  const std::lock_guard preparing(preparing_);
  LaunchTable& table = this->table();
  std::vector<std::int64_t> firsts;
  for (const LaunchRange& range : table.ranges())
    if (range.first_tokens <= max_tokens) firsts.push_back(range.first_tokens);
  load(table, table.choices_of(firsts), lowest_class);
}

void OperatorImpl::load(LaunchTable& table, std::span<const std::size_t> choices, int lowest_class) const {
  std::vector<std::pair<std::size_t, int>> missing;
  std::vector<Plan> plans;
  for (const std::size_t choice : choices)
    for (int alignment_class = lowest_class; alignment_class < alignment_classes; ++alignment_class) {
      if (table.find(choice, alignment_class) != nullptr) continue;
      if (alignment_class > lowest_class && table.same_kernel(choice, alignment_class, alignment_class - 1)) continue;
      missing.emplace_back(choice, alignment_class);
      plans.push_back(table.plan(choice, alignment_class));
    }
  if (plans.empty()) return;
  for (const std::size_t choice : choices) check_tuned(table.range(choice), table.range(choice).first_tokens);
  const auto kernels = runtime_->store().kernels(plans);
  for (std::size_t i = 0; i < missing.size(); ++i)
    table.insert(missing[i].first, missing[i].second, kernels[i]);
}

void OperatorImpl::check_tuned(const LaunchRange& range, std::int64_t tokens) const {
  if (range.tuned || !runtime_->require_tuned()) return;
  throw UsageError(fmt::format(
      "{} over {} {}: no table has a measured schedule for this device ({}), and the cost model may not choose "
      "(ISOFOLD_REQUIRE=tuned or RuntimeOptions::require_tuned). The operator is \"{}\" with \"{}\": `isofold tune` "
      "measures it, ISOFOLD_TABLES names tables that have it",
      spec_.op, tokens, tokens == 1 ? "token" : "tokens", runtime_->device().name, text(spec_), text(fold_)));
}

const Kernel& OperatorImpl::prepare_for_launch(LaunchTable& table, std::size_t choice, int alignment_class,
                                               CUstream_st* stream, std::int64_t tokens) const {
  check_tuned(table.range(choice), tokens);
  const Plan plan = table.plan(choice, alignment_class);
  if (const ContextPointer& context = runtime_->context()) {
    const CurrentContext current(*context);
    cuda::CUstreamCaptureStatus status = cuda::CU_STREAM_CAPTURE_STATUS_NONE;
    const cuda::CUresult result = context->api().cuStreamIsCapturing(stream, &status);
    // The null stream answers with this error while a stream that it waits for is being captured.
    const bool capturing =
        result == cuda::CUDA_ERROR_STREAM_CAPTURE_IMPLICIT || status != cuda::CU_STREAM_CAPTURE_STATUS_NONE;
    if (!capturing) context->driver().check(result, "cuStreamIsCapturing");
    if (capturing)
      throw UsageError(fmt::format(
          "{} over {} {} needs the kernel {}-{} ({}), which is not prepared, and the stream is being "
          "captured, where nothing can be compiled or loaded. Call prepare for this token count with an "
          "alignment of {} bytes before the capture. {}",
          spec_.op, tokens, tokens == 1 ? "token" : "tokens", spec_.op, digest_of(plan), text(plan.schedule()),
          alignment_bytes_of(spec_, alignment_class),
          status == cuda::CU_STREAM_CAPTURE_STATUS_INVALIDATED
              ? "Another call had invalidated the capture before"
              : "The capture is still valid; this launch is not in it"));
  }
  const std::shared_ptr<const Kernel> kernel = runtime_->store().kernel(plan);
  table.insert(choice, alignment_class, kernel);
  return *table.find(choice, alignment_class);
}

void OperatorImpl::launch(CUstream_st* stream, std::span<const ConstTensor> inputs,
                          std::span<const MutableTensor> outputs, std::int64_t tokens, const Workspace& workspace) const {
  if (tokens <= 0) {
    if (tokens == 0) return;
    throw UsageError(fmt::format("tokens is {}, it must not be negative", tokens));
  }
  const NvtxRange shown(nvtx_, nvtx_launch_, tokens);
  Parameters parameters;
  layout_.bind(inputs, outputs, tokens, parameters);
  check(workspace);
  if (writes_nothing_) return;
  LaunchTable& table = this->table();
  const std::size_t choice = table.choice(tokens, workspace.bytes);
  const Kernel* kernel = table.find(choice, parameters.alignment_class);
  if (kernel == nullptr) [[unlikely]]
    kernel = &prepare_for_launch(table, choice, parameters.alignment_class, stream, tokens);
  kernel->launch(stream, parameters, tokens, workspace.data);
  if (counts_ != nullptr) [[unlikely]]
    counts_->add(tokens);
}

}  // namespace isofold
