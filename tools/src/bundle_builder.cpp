#include "bundle_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <isofold/codegen/cpu_backend.hpp>
#include <isofold/error.hpp>
#include <isofold/runtime.hpp>
#include <mutex>
#include <set>

#include "embedded_tables.hpp"
#include "kernel_store.hpp"
#include "parallel.hpp"
#include "probe.hpp"
#include "settings.hpp"
#include "target.hpp"

namespace isofold {

namespace tools {
namespace {

/// All tables that a runtime of this user would read on any device.
TuningTable all_tables(const Settings& settings, Log& log) {
  TuningTable table;
  for (const auto& [name, lines] : embedded_tables()) table.read_text(std::string(name), lines);
  if (settings.cache.value) {
    const std::string own = *settings.cache.value + "/tables";
    if (std::error_code error; std::filesystem::is_directory(own, error)) table.read(own);
  }
  for (const std::string& path : settings.tables.value) table.read(path);
  for (const std::string& warning : table.warnings()) log.warning(warning);
  return table;
}

}  // namespace

/// Tables, and a compiler for each architecture.
struct BundleBuilder::Workshop {
  KernelStore& store_of(const DeviceTraits& device) {
    const int arch = device.kind == DeviceTraits::Kind::cuda ? device.arch : 0;
    std::unique_ptr<KernelStore>& store = stores[arch];
    if (store) return *store;
    KernelTarget target;
    if (arch != 0)
      target.nvrtc = Nvrtc::open({.path = settings.nvrtc.value,
                                  .cuda_roots = settings.cuda_roots,
                                  .python_roots = settings.python_roots,
                                  .device_arch = arch});
    compilers.insert(arch != 0 ? "NVRTC " + target.nvrtc->version() : "LLVM " + llvm_version());
    store = std::make_unique<KernelStore>(std::move(target), disk, log, std::nullopt);
    return *store;
  }

  Settings settings = Settings::from_environment();
  Log log{settings.log.value};
  DiskCache disk{settings.cache.value, log};
  TuningTable table = all_tables(settings, log);
  std::map<int, std::unique_ptr<KernelStore>> stores;  // by architecture; 0: the CPU
  std::set<std::string> compilers;
};

BundleBuilder::BundleBuilder() : workshop_(std::make_unique<Workshop>()) {}
BundleBuilder::~BundleBuilder() = default;

const std::vector<DeviceTraits>& BundleBuilder::devices_of(const std::string& name) {
  std::vector<DeviceTraits>& devices = devices_[name];
  if (!devices.empty()) return devices;
  devices.push_back(Target(name).traits());
  if (name.starts_with("sm_"))
    for (const TableRecord& record : workshop_->table.records()) {
      const DeviceTraits device = parse_device_traits(record.device);
      const auto same = [&](const DeviceTraits& known) { return same_device(known, device); };
      if (device.kind == DeviceTraits::Kind::cuda && device.arch == devices.front().arch &&
          std::none_of(devices.begin(), devices.end(), same))
        devices.push_back(device);
    }
  for (const DeviceTraits& device : devices) add_plan(probe_plan(device));
  return devices;
}

void BundleBuilder::add(const Problem& problem, const std::string& name, const std::vector<std::int64_t>& tokens,
                        int alignment) {
  const int lowest_class = alignment_class_of(problem.spec, alignment);
  for (const DeviceTraits& device : devices_of(name)) {
    std::vector<LaunchRange> ranges =
        chosen_ranges(workshop_->table, problem.spec, problem.fold, device, workshop_->log);
    const LaunchTable launches(problem.spec, problem.fold, device, ranges);
    for (const std::size_t choice : launches.choices_of(tokens))
      for (int alignment_class = lowest_class; alignment_class < alignment_classes; ++alignment_class)
        add_plan(launches.plan(choice, alignment_class));
    BundleChoice choice{text(problem.spec), text(problem.fold), text(device), std::move(ranges)};
    choices_[choice.spec + choice.fold + choice.device] = std::move(choice);
  }
}

BundleContent BundleBuilder::build(const std::function<bool(std::size_t, std::size_t)>& progress) {
  std::vector<std::pair<const Plan*, KernelStore*>> work;
  for (const auto& [name, plan] : plans_) work.emplace_back(&plan, &workshop_->store_of(plan.device()));
  BundleContent content;
  content.entries.resize(work.size());
  std::mutex mutex;
  std::size_t done = 0;
  bool stopped = !progress(0, work.size());
  for_each_parallel(work.size(), [&](std::size_t i) {
    {
      const std::lock_guard guard(mutex);
      if (stopped) return;
    }
    const Plan& plan = *work[i].first;
    const auto image = work[i].second->image(plan);
    CacheEntry entry{bundle_key(plan, image->source), plan.is_gpu() ? "cuda" : "cpu", text(plan), {}};
    entry.sections.emplace_back(plan.is_gpu() ? "cubin" : "object", image->code);
    if (plan.is_gpu()) entry.sections.emplace_back("usage", image->usage);
    content.entries[i] = std::move(entry);
    const std::lock_guard guard(mutex);
    stopped = !progress(++done, work.size());
  });
  if (stopped) return {};
  content.made_by = fmt::format("isofold {}", version());
  for (const std::string& compiler : workshop_->compilers) content.made_by += ", " + compiler;
  for (const auto& [name, choice] : choices_) content.choices.push_back(choice);
  return content;
}

}  // namespace tools
}  // namespace isofold
