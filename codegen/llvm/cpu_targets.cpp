#include <isofold/codegen/cpu_backend.hpp>
#include <isofold/codegen/usable_cpus.hpp>

#include <fmt/format.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/TargetSelect.h>

#include <algorithm>
#include <array>
#include <mutex>

#include "llvm_versions.hpp"
#include "target_machine.hpp"

namespace isofold {
namespace {

/// A level of vector hardware. Hosts are rounded down to one, so that a few object files serve all of them.
struct Target {
  std::string_view name;
  const char* triple;
  const char* features;
  int width;
};

constexpr std::array targets{
    Target{"avx512", "x86_64-unknown-linux-gnu",
           "+avx2,+avx512bw,+avx512cd,+avx512dq,+avx512f,+avx512vl,+bmi,+bmi2,+fma,+lzcnt,+popcnt", 16},
    Target{"avx2", "x86_64-unknown-linux-gnu", "+avx2,+bmi,+bmi2,+fma,+lzcnt,+popcnt", 8},
    Target{"x86-64", "x86_64-unknown-linux-gnu", "", 4},
    Target{"aarch64", "aarch64-unknown-linux-gnu", "+neon", 4},
};

DeviceTraits traits_of(const Target& target) {
  DeviceTraits traits;
  traits.kind = DeviceTraits::Kind::cpu;
  traits.name = target.name;
  traits.vector_width = target.width;
  traits.threads = 1;
  traits.features = target.features;
  traits.triple = target.triple;
  return traits;
}

/// True when the host has every feature of the list "+a,+b".
bool host_has(llvm::StringRef features) {
  static const llvm::StringMap<bool> host = versions::host_features();
  llvm::SmallVector<llvm::StringRef> names;
  features.split(names, ',', -1, false);
  return std::all_of(names.begin(), names.end(),
                     [](llvm::StringRef name) { return host.lookup(name.drop_front()); });
}

}  // namespace

std::string llvm_version() { return LLVM_VERSION_STRING; }

DeviceTraits host_cpu_traits() {
  const llvm::Triple host(llvm::sys::getProcessTriple());
  for (const Target& target : targets) {
    if (llvm::Triple(target.triple).getArch() != host.getArch()) continue;
    if (target.name != "aarch64" && !host_has(target.features)) continue;
    DeviceTraits traits = traits_of(target);
    traits.triple = host.str();
    traits.threads = usable_cpus();
    return traits;
  }
  throw UsageError(fmt::format(
      "the CPU backend does not know this processor ({}); x86-64 and AArch64 are supported", host.str()));
}

DeviceTraits cpu_traits(std::string_view name) {
  if (name == "cpu") return host_cpu_traits();
  for (const Target& target : targets)
    if (name == target.name) return traits_of(target);
  throw UsageError(fmt::format(
      "unknown CPU target \"{}\"; allowed are cpu (the host), x86-64, avx2, avx512 and aarch64", name));
}

bool host_can_run(const DeviceTraits& device) {
  const llvm::Triple host(llvm::sys::getProcessTriple());
  if (device.kind != DeviceTraits::Kind::cpu || llvm::Triple(device.triple).getArch() != host.getArch())
    return false;
  return host.isAArch64() || host_has(device.features);
}

std::unique_ptr<llvm::TargetMachine> target_machine(const DeviceTraits& device) {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
  });
  if (device.kind != DeviceTraits::Kind::cpu)
    throw UsageError(device.name + " is not a CPU: a CPU plan is needed");
  std::string error;
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(device.triple, error);
  if (!target)
    throw UsageError(fmt::format("LLVM {} cannot compile for {}: {}", llvm_version(), device.triple, error));
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(device.triple, "", device.features, options, llvm::Reloc::PIC_,
                                  llvm::CodeModel::Small, versions::optimized));
}

}  // namespace isofold
