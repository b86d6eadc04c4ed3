#include "kernel_store.hpp"

#include <isofold/codegen/cpu_backend.hpp>
#include <isofold/codegen/cuda_emitter.hpp>
#include <isofold/codegen/digest.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <filesystem>
#include <fstream>

#include "arguments.hpp"
#include "gpu_kernel.hpp"
#include "host_kernel.hpp"
#include "parallel.hpp"
#include "probe.hpp"

namespace isofold {
namespace {

namespace fs = std::filesystem;

/// Counts changes of what an entry holds or means.
constexpr int kernel_schema = 1;

std::string image_name(const Plan& plan) { return fmt::format("{}-{}", plan.spec().op, digest_of(plan)); }

/// The entry of a CUDA source: sections ptx, cubin and usage.
CacheEntry compiled_cuda(const std::string& source, const std::string& program_name, const std::string& what,
                         int device_arch, const KernelTarget& target, DiskCache& disk) {
  if (!target.nvrtc) throw UsageError("this runtime runs on the CPU, it cannot compile " + what);
  const Nvrtc& nvrtc = *target.nvrtc;
  const int arch = nvrtc.target_for(device_arch);
  const std::string key = fmt::format("isofold cuda kernel, schema {}\nNVRTC {}\n{}\n{}", kernel_schema,
                                      nvrtc.version(), fmt::join(Nvrtc::options(arch), " "), source);
  const auto build = [&] {
    CompileResult compiled = nvrtc.compile(source, program_name, arch);
    if (const std::vector<std::string> lint = lint_ptx(compiled.ptx); !lint.empty())
      throw InternalError(
          fmt::format("the PTX of {} breaks the numerics rules:\n{}", what, fmt::join(lint, "\n")));
    return CacheEntry{.key_text = key,
                      .kind = "cuda",
                      .metadata = what,
                      .sections = {{"ptx", std::move(compiled.ptx)},
                                   {"cubin", std::move(compiled.cubin)},
                                   {"usage", std::move(compiled.usage)}}};
  };
  CacheEntry entry = disk.load_or_build(key, build);
  if (entry.section("ptx") && entry.section("cubin") && entry.section("usage")) return entry;
  entry = build();
  disk.store(entry);
  return entry;
}

/// The plan's entry of a bundle, if one has it with this section; UsageError when one must.
std::optional<CacheEntry> bundled(const Bundles* bundles, const Plan& plan, const std::string& source,
                                  const char* section) {
  if (bundles == nullptr) return std::nullopt;
  std::optional<CacheEntry> entry = bundles->find(bundle_key(plan, source));
  if (entry && entry->section(section)) return entry;
  if (bundles->required())
    throw UsageError(fmt::format(
        "the kernel {} ({}) is in no bundle ({}), and nothing may be compiled here (ISOFOLD_REQUIRE=bundled or "
        "RuntimeOptions::require_bundled). Its operator is \"{}\" with \"{}\" on {}: `isofold bundle{}` adds it",
        image_name(plan), text(plan.schedule()), bundles->names(), text(plan.spec()), text(plan.fold()),
        plan.is_gpu() ? fmt::format("sm_{}", plan.device().arch) : plan.device().name,
        plan.is_gpu() ? fmt::format(" --alignment {}", alignment_bytes_of(plan.spec(), std::countr_zero(static_cast<unsigned>(plan.gpu().vector)))) : ""));
  return std::nullopt;
}

KernelImage gpu_image(const Plan& plan, const KernelTarget& target, DiskCache& disk, const Bundles* bundles) {
  CudaSource source = emit_cuda(plan);
  std::optional<CacheEntry> found = bundled(bundles, plan, source.text, "cubin");
  const CacheEntry entry =
      found ? std::move(*found)
            : compiled_cuda(source.text, source.program_name, text(plan), plan.device().arch, target, disk);
  const auto section = [&](const char* name) {
    const std::string* content = entry.section(name);
    return content ? *content : std::string();  // a bundle has no PTX
  };
  return {.name = image_name(plan),
          .source = std::move(source.text),
          .ptx = section("ptx"),
          .code = *entry.section("cubin"),
          .usage = section("usage"),
          .entries = std::move(source.entries)};
}

KernelImage cpu_image(const Plan& plan, DiskCache& disk, const Bundles* bundles) {
  KernelImage image;
  image.name = image_name(plan);
  image.source = cpu_ir(plan);
  if (const auto found = bundled(bundles, plan, image.source, "object")) {
    image.code = *found->section("object");
    return image;
  }
  const std::string key = fmt::format("isofold cpu kernel, schema {}\nLLVM {}\n{}\n{}", kernel_schema,
                                      llvm_version(), text(plan), image.source);
  const auto build = [&] {
    return CacheEntry{.key_text = key,
                      .kind = "cpu",
                      .metadata = text(plan),
                      .sections = {{"object", compile_cpu(plan).object}}};
  };
  CacheEntry entry = disk.load_or_build(key, build);
  if (entry.section("object") == nullptr) {
    entry = build();
    disk.store(entry);
  }
  image.code = *entry.section("object");
  return image;
}

}  // namespace

KernelStore::KernelStore(KernelTarget target, DiskCache& disk, Log& log, std::optional<std::string> dump,
                         const Bundles* bundles)
    : target_(std::move(target)), disk_(disk), log_(log), dump_(std::move(dump)), bundles_(bundles) {}

std::shared_ptr<const KernelImage> KernelStore::image(const Plan& plan) {
  auto image = std::make_shared<const KernelImage>(plan.is_gpu() ? gpu_image(plan, target_, disk_, bundles_)
                                                                 : cpu_image(plan, disk_, bundles_));
  if (dump_) write_dump(plan, *image);
  return image;
}

std::string KernelStore::cubin(const std::string& source, const std::string& program_name, int device_arch) {
  return *compiled_cuda(source, program_name, program_name, device_arch, target_, disk_).section("cubin");
}

std::unique_ptr<const Kernel> KernelStore::load(const Plan& plan,
                                                std::shared_ptr<const KernelImage> image) const {
  if (!plan.is_gpu()) return std::make_unique<HostKernel>(plan, std::move(image), target_.pool);
  const RelaxedCapture relaxed(target_.context.get());
  return std::make_unique<GpuKernel>(plan, std::move(image), target_.context);
}

void KernelStore::ensure_probed(const DeviceTraits& device) {
  if (probed_) return;
  const std::lock_guard guard(probe_mutex_);
  if (probed_) return;
  const Plan plan = probe_plan(device);
  const RelaxedCapture relaxed(target_.context.get());
  check_probe(*load(plan, image(plan)), target_);
  probed_ = true;
}

std::shared_ptr<const Kernel> KernelStore::kernel(const Plan& plan) { return kernels({&plan, 1}).front(); }

std::vector<std::shared_ptr<const Kernel>> KernelStore::kernels(std::span<const Plan> plans) {
  std::vector<std::shared_ptr<const Kernel>> loaded(plans.size());
  for_each_parallel(plans.size() + 1, [&](std::size_t item) {
    if (item == plans.size()) return plans.empty() ? void() : ensure_probed(plans.front().device());
    const Plan& plan = plans[item];
    loaded[item] = kernels_.get_or_build(
        text(plan), [&] { return std::shared_ptr<const Kernel>(load(plan, image(plan))); });
  });
  return loaded;
}

void KernelStore::write_dump(const Plan& plan, const KernelImage& image) const {
  std::error_code error;
  fs::create_directories(*dump_, error);
  const auto write = [&](const char* extension, const std::string& content) {
    const fs::path path = fs::path(*dump_) / (image.name + extension);
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << content;
    file.close();
    if (!file) log_.warn_once("dump", fmt::format("ISOFOLD_DUMP: cannot write {}", path.string()));
  };
  if (plan.is_gpu()) {
    write(".cu", image.source);
    if (!image.ptx.empty()) write(".ptx", image.ptx);
    write(".cubin", image.code);
  } else {
    write(".ll", image.source);
    write(".s", cpu_assembly(plan));
    write(".o", image.code);
  }
}

RelaxedCapture::RelaxedCapture(const Context* context) : context_(context) {
  if (context_ == nullptr) return;
  context_->check_process();
  context_->driver().check(context_->api().cuThreadExchangeStreamCaptureMode(&mode_), "cuThreadExchangeStreamCaptureMode");
}

RelaxedCapture::~RelaxedCapture() {
  if (context_ != nullptr) context_->api().cuThreadExchangeStreamCaptureMode(&mode_);
}

}  // namespace isofold
