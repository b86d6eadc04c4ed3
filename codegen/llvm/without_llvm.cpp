#include <isofold/codegen/cpu_backend.hpp>

namespace isofold {
namespace {

[[noreturn]] void refuse() {
  throw UsageError(
      "this Isofold was built without LLVM, so it has no CPU backend. Install LLVM 15 to 20 with its headers "
      "(Debian, "
      "Ubuntu: apt install llvm-19-dev) and build again with -DISOFOLD_LLVM=ON");
}

}  // namespace

struct CpuKernel::Code {};

std::string llvm_version() { return {}; }
DeviceTraits host_cpu_traits() { refuse(); }
DeviceTraits cpu_traits(std::string_view) { refuse(); }
CpuCode compile_cpu(const Plan&) { refuse(); }
std::string cpu_ir(const Plan&) { refuse(); }
std::string cpu_assembly(const Plan&) { refuse(); }

CpuKernel::CpuKernel(const Plan&, std::string_view) { refuse(); }
CpuKernel::CpuKernel(CpuKernel&&) noexcept = default;
CpuKernel& CpuKernel::operator=(CpuKernel&&) noexcept = default;
CpuKernel::~CpuKernel() = default;

}  // namespace isofold
