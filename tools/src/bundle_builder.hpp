#pragma once
#include <isofold/codegen/device_traits.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bundle.hpp"
#include "operator_options.hpp"

namespace isofold::tools {

/// Collects the kernels that operators launch on devices which need not be here, builds them side by side, and makes the
/// content of a bundle. Not thread-safe.
class BundleBuilder {
 public:
  BundleBuilder();
  BundleBuilder(const BundleBuilder&) = delete;
  ~BundleBuilder();

  /// What launches over these token counts need, for tensors aligned to `alignment` bytes or better. `device`: auto, cpu,
  /// cuda:<n>, sm_<number> (every device of that architecture that a tuning table knows, and a typical one), x86-64, ...
  void add(const Problem& problem, const std::string& device, const std::vector<std::int64_t>& tokens, int alignment);

  /// Kernels that `build` will build.
  std::size_t kernels() const { return plans_.size(); }
  /// Compiles; `progress(done, total)` is called from one thread at a time and returning false stops it: the content is empty.
  /// Throws UsageError when a compiler is missing or a kernel cannot be built.
  BundleContent build(const std::function<bool(std::size_t, std::size_t)>& progress);

 private:
  struct Workshop;
  const std::vector<DeviceTraits>& devices_of(const std::string& name);
  void add_plan(const Plan& plan) { plans_.emplace(text(plan), plan); }

  std::unique_ptr<Workshop> workshop_;
  std::map<std::string, std::vector<DeviceTraits>> devices_;  // that a name stands for
  std::map<std::string, Plan> plans_;                         // by text: what is equal is built once
  std::map<std::string, BundleChoice> choices_;               // by spec, fold and device
};

}  // namespace isofold::tools
