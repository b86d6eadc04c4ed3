#include "target.hpp"

#include <fmt/format.h>

#include <isofold/codegen/cpu_backend.hpp>
#include <isofold/codegen/cuda_emitter.hpp>
#include <isofold/error.hpp>

#include <limits>

#include "baselines.hpp"
#include "kernel_store.hpp"
#include "launch_table.hpp"
#include "runtime_impl.hpp"
#include "table_range.hpp"

namespace isofold::tools {
namespace {

bool names_cpu_target(const std::string& device) {
  return device == "x86-64" || device == "avx2" || device == "avx512" || device == "aarch64";
}

/// Traits of a device that need not be here; nothing for the name of a real one.
std::optional<DeviceTraits> absent_device(const std::string& device) {
  if (names_cpu_target(device)) return cpu_traits(device);
  if (!device.starts_with("sm_")) {
    if (device.empty() || device == "auto" || device == "cpu" || device.starts_with("cuda"))
      return std::nullopt;
    throw UsageError(fmt::format(
        "--device is \"{}\"; allowed are auto, cpu, cuda, cuda:<n>, and with no device present sm_80, sm_86, "
        "sm_87, sm_89, sm_90, sm_100, sm_103, sm_120, x86-64, avx2, avx512 and aarch64",
        device));
  }
  if (const auto traits = traits_of_arch(device)) return traits;
  throw UsageError(
      fmt::format("--device is \"{}\"; architectures that are known: sm_80, sm_86, sm_87, sm_89, sm_90, "
                  "sm_100, sm_103 and sm_120",
                  device));
}

/// What an operator on a device of these traits would choose without a tuning table.
ChosenPlan modelled(const Problem& problem, const DeviceTraits& traits, std::int64_t tokens, int alignment, std::size_t workspace_bytes) {
  LaunchTable table(problem.spec, problem.fold, traits, modelled_ranges(problem.spec, problem.fold, traits));
  const std::size_t choice = table.choice(tokens, workspace_bytes);
  return {table.plan(choice, alignment_class_of(problem.spec, alignment)), table.range(choice).origin};
}

}  // namespace

Runtime open_runtime(const std::string& device) {
  if (device.starts_with("sm_") || names_cpu_target(device))
    throw UsageError(
        fmt::format("--device {} names an architecture, which `isofold inspect` alone can work with; "
                    "allowed here: auto, cpu and cuda:<n>",
                    device));
  RuntimeOptions options;
  options.device = device;
  return Runtime(options);
}

/// Compiles for a target that is not a device of this process, and without opening one.
struct Target::Compiler {
  Compiler(const DeviceTraits& traits)
      : settings(Settings::from_environment()),
        log(settings.log.value),
        disk(settings.cache.value, log) {
    KernelTarget target;
    if (traits.kind == DeviceTraits::Kind::cuda)
      target.nvrtc = Nvrtc::open({.path = settings.nvrtc.value,
                                  .cuda_roots = settings.cuda_roots,
                                  .python_roots = settings.python_roots,
                                  .device_arch = traits.arch});
    store.emplace(std::move(target), disk, log, settings.dump.value);
  }

  Settings settings;
  Log log;
  DiskCache disk;
  std::optional<KernelStore> store;
};

Target::Target(const std::string& device) {
  if (auto traits = absent_device(device)) {
    name_ = device;
    traits_ = std::move(*traits);
    // No Runtime is made, which would see to this.
    if (const auto folder = Settings::from_environment().templates.value) use_template_folder(*folder);
    return;
  }
  runtime_ = open_runtime(device);
  name_ = runtime_->device_name();
  traits_ = runtime_->device();
}

ChosenPlan Target::choose(const Problem& problem, const std::string& schedule, std::int64_t tokens,
                          int alignment, bool with_workspace) const {
  if (!schedule.empty())
    return {make_plan(problem.spec, problem.fold, parse_schedule(schedule), traits_).value(),
            "the command line"};
  const std::size_t workspace_bytes = with_workspace ? std::numeric_limits<std::size_t>::max() : 0;
  if (!runtime_) return modelled(problem, traits_, tokens, alignment, workspace_bytes);
  const Choice choice = runtime_->make_operator(problem.spec, problem.fold).choice(tokens, alignment, workspace_bytes);
  return {make_plan(problem.spec, problem.fold, parse_schedule(choice.schedule), traits_).value(),
          choice.origin};
}

std::optional<TableRange> Target::measured_range(const Problem& problem, std::int64_t tokens) const {
  if (!runtime_) return std::nullopt;
  const TableRecord* record = runtime_->impl()->table().find(problem.spec, problem.fold, traits_);
  if (record == nullptr || record->ranges.empty()) return std::nullopt;
  return range_of(*record, tokens);
}

std::optional<double> Target::copy_microseconds(std::int64_t bytes) const {
  constexpr TimingEffort effort{
      .replay_microseconds = 500, .min_samples = 5, .max_samples = 20, .enough_spread = 0.01, .seconds = 0.3};
  if (!runtime_ || bytes == 0) return std::nullopt;
  return measure_copy(*runtime_->impl(), bytes, effort).microseconds;
}

std::shared_ptr<const KernelImage> Target::compile(const Plan& plan) {
  if (runtime_) return runtime_->impl()->store().image(plan);
  if (!compiler_) compiler_ = std::make_shared<Compiler>(traits_);
  return compiler_->store->image(plan);
}

}  // namespace isofold::tools
