#include <isofold/codegen/cpu_backend.hpp>
#include <isofold/codegen/cuda_emitter.hpp>
#include <isofold/runtime.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <utility>
#include <vector>

#include "embedded_tables.hpp"
#include "operator_impl.hpp"
#include "runtime_impl.hpp"

namespace isofold {

namespace {

namespace fs = std::filesystem;

std::string absolute(const char* option, const std::string& path) {
  std::error_code error;
  const fs::path whole = fs::absolute(path, error);
  if (!error) return whole.string();
  throw UsageError(fmt::format("{} \"{}\" is relative to a working directory that is unknown: {}", option, path, error.message()));
}

std::optional<std::string> cache_folder(const Settings& settings, const RuntimeOptions& options) {
  if (options.cache_folder == "off") return std::nullopt;
  if (!options.cache_folder.empty()) return absolute("cache_folder", options.cache_folder);
  return settings.cache.value;
}

/// File that launches are written to; empty: none. That it cannot be is said at once, not when the first launches are written.
std::string record_file(const Settings& settings, const RuntimeOptions& options) {
  const bool given = !options.record.empty();
  const std::string path = given ? absolute("record", options.record) : settings.record.value.value_or("");
  if (path.empty()) return path;
  const char* name = given ? "record" : "ISOFOLD_RECORD";
  std::error_code error;
  if (fs::is_directory(path, error)) throw UsageError(fmt::format("{} \"{}\" is a folder, it must be a file", name, path));
  if (!fs::is_directory(fs::path(path).parent_path(), error))
    throw UsageError(fmt::format("{} \"{}\" is in a folder that does not exist", name, path));
  return path;
}

int parse_ordinal(const std::string& device) {
  int ordinal = -1;
  const std::string digits = device.substr(std::string("cuda:").size());
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), ordinal);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() || ordinal < 0)
    throw UsageError(
        fmt::format("device is \"{}\"; allowed: auto, cpu, cuda or cuda:<number of the device>", device));
  return ordinal;
}

}  // namespace

DeviceTraits traits_of(const DeviceInfo& info) {
  DeviceTraits traits;
  traits.name = info.name;
  std::replace(traits.name.begin(), traits.name.end(), ' ', '_');
  traits.arch = info.arch;
  traits.multiprocessors = info.sm_count;
  traits.threads_per_multiprocessor = info.max_threads_per_sm;
  traits.registers_per_multiprocessor = info.registers_per_sm;
  traits.shared_per_block = static_cast<int>(info.max_shared_bytes_per_block);
  traits.shared_per_multiprocessor = static_cast<int>(info.shared_bytes_per_sm);
  traits.l2_bytes = static_cast<std::int64_t>(info.l2_bytes);
  return traits;
}

RuntimeImpl::RuntimeImpl(const RuntimeOptions& options)
    : settings_(Settings::from_environment()),
      log_(options.log_level.value_or(settings_.log.value), options.log),
      disk_(cache_folder(settings_, options), log_) {
  if (options.nvtx || settings_.nvtx.value) nvtx_ = Nvtx::of_process(log_);
  if (settings_.templates.value) use_template_folder(*settings_.templates.value);
  std::vector<std::string> bundles = settings_.bundles.value;
  bundles.insert(bundles.end(), options.bundles.begin(), options.bundles.end());
  bundles_ = std::make_unique<const Bundles>(bundles, options.require_bundled || settings_.require.value.bundled);
  require_tuned_ = options.require_tuned || settings_.require.value.tuned;
  KernelTarget target = open_device(options.device.empty() ? settings_.device.value : options.device);
  log_.info(fmt::format("device {}: {}", device_name_, text(device_)));
  store_ = std::make_unique<KernelStore>(std::move(target), disk_, log_, settings_.dump.value, bundles_.get());
  read_tables(options);
  const std::string record = record_file(settings_, options);
  if (!record.empty()) recorder_ = std::make_unique<LaunchRecorder>(record, text(device_), log_);
}

KernelTarget RuntimeImpl::open_device(const std::string& asked) {
  if (asked == "cpu") return open_cpu();
  if (asked == "cuda") return open_gpu(0);
  if (asked.starts_with("cuda:")) return open_gpu(parse_ordinal(asked));
  if (asked != "auto")
    throw UsageError(
        fmt::format("device is \"{}\"; allowed: auto, cpu, cuda or cuda:<number of the device>", asked));

  std::vector<std::string> why;
  try {
    const int count = Driver::open(settings_.cuda.value)->device_count();
    for (int ordinal = 0; ordinal < count; ++ordinal) {
      try {
        return open_gpu(ordinal);
      } catch (const UsageError& error) {
        why.emplace_back(error.what());
        // There is a GPU: that it stays unused is worth a word.
        log_.warning(fmt::format("cuda:{} is not used: {}", ordinal, error.what()));
      }
    }
  } catch (const UsageError& error) {
    why.emplace_back(error.what());
    log_.info(fmt::format("no CUDA device: {}", error.what()));
  }
  try {
    return open_cpu();
  } catch (const UsageError& error) {
    std::string message = "no device can be used";
    for (const std::string& reason : why) message += "\n  CUDA: " + reason;
    throw UsageError(message + "\n  CPU: " + error.what());
  }
}

KernelTarget RuntimeImpl::open_gpu(int ordinal) {
  const std::shared_ptr<const Driver> driver = Driver::open(settings_.cuda.value);
  const DeviceInfo info = driver->device(ordinal);
  if (info.arch < min_arch)
    throw UsageError(fmt::format("cuda:{} ({}) is sm_{}, which is too old: sm_{} or later is needed", ordinal,
                                 info.name, info.arch, min_arch));
  KernelTarget target;
  if (!bundles_->required()) {
    target.nvrtc = Nvrtc::open({.path = settings_.nvrtc.value,
                                .cuda_roots = settings_.cuda_roots,
                                .python_roots = settings_.python_roots,
                                .newest_major = driver->version() / 1000,
                                .device_arch = info.arch});
    target.nvrtc->target_for(info.arch);
  }
  target.context = std::make_shared<const Context>(driver, ordinal);
  device_ = traits_of(info);
  device_name_ = fmt::format("cuda:{}", ordinal);
  return target;
}

KernelTarget RuntimeImpl::open_cpu() {
  device_ = host_cpu_traits();
  if (settings_.threads.value > 0) device_.threads = static_cast<int>(settings_.threads.value);
  device_name_ = "cpu";
  return {.pool = std::make_shared<CpuPool>(device_.threads)};
}

std::string RuntimeImpl::user_table_file() const {
  if (!disk_.usable()) return {};
  std::string name = device_.name;
  std::replace_if(
      name.begin(), name.end(),
      [](unsigned char c) { return !std::isalnum(c) && c != '_' && c != '-' && c != '.'; }, '_');
  return fmt::format("{}/tables/{}.jsonl", disk_.folder(), name);
}

std::string RuntimeImpl::environment() const {
  if (!is_gpu()) return fmt::format("isofold {}, LLVM {}", version(), llvm_version());
  const int driver = context()->driver().version();
  const auto& nvrtc = store_->target().nvrtc;
  return fmt::format("isofold {}, driver for CUDA {}.{}, {}", version(), driver / 1000, driver % 1000 / 10,
                     nvrtc ? "NVRTC " + nvrtc->version() : "no compiler");
}

void RuntimeImpl::read_tables(const RuntimeOptions& options) {
  for (const auto& [name, lines] : embedded_tables()) table_.read_text(std::string(name), lines);
  if (const std::string file = user_table_file(); !file.empty())
    if (std::error_code error; fs::exists(file, error)) {
      try {
        table_.read(file);
      } catch (const UsageError& failure) {
        log_.warning(failure.what());
      }
    }
  for (const std::string& path : settings_.tables.value) table_.read(path);
  for (const std::string& path : options.tables) table_.read(path);
  for (const std::string& warning : table_.warnings()) log_.warning(warning);
  log_.debug(fmt::format("{} tuning records; disk cache: {}", table_.records().size(),
                         disk_.usable() ? disk_.folder() : "off"));
}

Runtime::Runtime(const RuntimeOptions& options) : impl_(std::make_shared<RuntimeImpl>(options)) {}

const DeviceTraits& Runtime::device() const { return impl_->device(); }
std::string Runtime::device_name() const { return impl_->device_name(); }

Operator Runtime::rms_norm(const RmsNormOptions& options) const {
  return make_operator(isofold::rms_norm(options));
}

Operator Runtime::make_operator(const Spec& spec, std::optional<Fold> fold) const {
  // A Spec can also be put together by hand. It is one when its text parses back to it.
  if (const std::string rule = broken_rule(spec); !rule.empty()) throw UsageError("spec: " + rule);
  if (const Spec checked = parse_spec(text(spec)); !(checked == spec))
    throw UsageError("this Spec is not what its text says: " + text(spec));
  const Fold chosen = fold.value_or(default_fold(spec));
  if (const std::string rule = broken_rule(chosen); !rule.empty()) throw UsageError("fold: " + rule);
  return Operator(std::make_shared<OperatorImpl>(impl_, spec, chosen));
}

std::string_view version() { return ISOFOLD_VERSION; }

}  // namespace isofold
