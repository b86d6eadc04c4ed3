#include <isofold/codegen/cpu_backend.hpp>
#include <isofold/codegen/cuda_emitter.hpp>
#include <isofold/runtime.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "operator_impl.hpp"

namespace isofold {
namespace {

void check_positive(std::int64_t tokens) {
  if (tokens < 1) throw UsageError(fmt::format("tokens is {}, it must be at least 1", tokens));
}

}  // namespace

const Spec& Operator::spec() const { return impl_->spec(); }
const Fold& Operator::fold() const { return impl_->fold(); }
std::string Operator::bits_id() const { return impl_->bits_id(); }

void Operator::prepare(std::span<const std::int64_t> tokens, const PrepareOptions& options) const {
  const int lowest_class = alignment_class_of(spec(), options.alignment);
  for (const std::int64_t count : tokens) check_positive(count);
  impl_->prepare(tokens, lowest_class);
}

void Operator::prepare_up_to(std::int64_t max_tokens, const PrepareOptions& options) const {
  check_positive(max_tokens);
  impl_->prepare_up_to(max_tokens, alignment_class_of(spec(), options.alignment));
}

void Operator::launch(CUstream_st* stream, const RmsNormArguments& arguments, std::int64_t tokens, const Workspace& workspace) const {
  const RmsNormNames& names = impl_->rms_norm_names();
  names.check(arguments);
  std::array<ConstTensor, 3> inputs;
  std::array<MutableTensor, 2> outputs;
  names.order(arguments, inputs, outputs);
  impl_->launch(stream, {inputs.data(), spec().inputs.size()}, {outputs.data(), spec().outputs.size()},
                tokens, workspace);
}

void Operator::launch(CUstream_st* stream, std::span<const ConstTensor> inputs,
                      std::span<const MutableTensor> outputs, std::int64_t tokens, const Workspace& workspace) const {
  impl_->launch(stream, inputs, outputs, tokens, workspace);
}

std::size_t Operator::workspace_bytes(std::int64_t max_tokens) const {
  if (max_tokens < 0) throw UsageError(fmt::format("max_tokens is {}, it must not be negative", max_tokens));
  return impl_->table().workspace_bytes(max_tokens);
}

Plan Operator::plan(std::int64_t tokens, int alignment, std::size_t workspace_bytes) const {
  check_positive(tokens);
  const LaunchTable& table = impl_->table();
  return table.plan(table.choice(tokens, workspace_bytes), alignment_class_of(spec(), alignment));
}

Choice Operator::choice(std::int64_t tokens, int alignment, std::size_t workspace_bytes) const {
  check_positive(tokens);
  const LaunchTable& table = impl_->table();
  const std::size_t number = table.choice(tokens, workspace_bytes);
  const Plan plan = table.plan(number, alignment_class_of(spec(), alignment));
  Choice choice;
  if (plan.is_gpu())
    choice.gpu = plan.gpu();
  else
    choice.cpu = plan.cpu();
  choice.schedule = text(plan.schedule());
  choice.origin = table.range(number).origin;
  return choice;
}

std::string Operator::source(std::int64_t tokens, int alignment, std::size_t workspace_bytes) const {
  const Plan plan = this->plan(tokens, alignment, workspace_bytes);
  return plan.is_gpu() ? emit_cuda(plan).text : cpu_ir(plan);
}

std::vector<std::int64_t> Operator::boundaries() const {
  std::vector<std::int64_t> firsts;
  for (const LaunchRange& range : impl_->table().ranges()) firsts.push_back(range.first_tokens);
  return firsts;
}

}  // namespace isofold
