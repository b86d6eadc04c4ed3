#pragma once
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "simt/scheduler.hpp"

namespace isofold::simt {

/// Generated CUDA text and the names of its kernels.
struct HostSource {
  std::string text;
  std::string program_name;  // for messages of the compiler
  std::vector<std::string> entries;
};

/// Compiles the host text of all sources into one shared object at `library`, with the host's C++ compiler. Returns what the
/// compiler warned of; throws std::runtime_error with its messages when it refuses.
std::string compile_host_library(std::span<const HostSource> sources, const std::filesystem::path& library);

/// A shared object that `compile_host_library` made, loaded. Its kernels run in one thread at a time.
class HostLibrary {
 public:
  /// Throws std::runtime_error when it cannot be loaded.
  explicit HostLibrary(const std::filesystem::path& library);
  HostLibrary(const HostLibrary&) = delete;
  HostLibrary& operator=(const HostLibrary&) = delete;
  ~HostLibrary();

  /// Makes `launch` one of kernel `entry` of source `source`; its shape is the caller's. False when there is no such kernel.
  bool bind(Launch& launch, std::size_t source, const std::string& entry) const;
  /// The size of each parameter of such a kernel.
  std::vector<std::size_t> parameter_bytes(std::size_t source, const std::string& entry) const;

 private:
  void* library_;
};

}  // namespace isofold::simt
