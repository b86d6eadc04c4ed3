#pragma once
#include <isofold/export.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ISOFOLD_API isofold {

/// What codegen has to know of a device. Never the source of a bit.
struct DeviceTraits {
  enum class Kind : std::uint8_t { cuda, cpu };
  Kind kind = Kind::cuda;
  std::string name;                 // as the driver or the operating system says it, spaces replaced by '_'
  // cuda
  int arch = 0;                     // 80, 86, 89, 90, 100, 120, ...
  int multiprocessors = 0;
  int threads_per_multiprocessor = 0;
  int registers_per_multiprocessor = 0;
  int shared_per_block = 0;         // bytes, opt-in maximum of one block
  int shared_per_multiprocessor = 0;
  std::int64_t l2_bytes = 0;
  // cpu
  int vector_width = 0;             // binary32 lanes of the widest register used: 4, 8 or 16
  int threads = 0;
  std::string features;             // LLVM feature string of the host, empty for the plain target
  std::string triple;               // LLVM target triple, for example x86_64-linux-gnu
  bool operator==(const DeviceTraits&) const = default;
};

/// Oldest CUDA architecture that is supported.
inline constexpr int min_arch = 80;

/// Traits of a typical device of an architecture ("sm_80", "sm_90", "sm_100", ...), for work with no device present.
/// Nothing for text that is not sm_<number> with a supported number.
std::optional<DeviceTraits> traits_of_arch(std::string_view name);

/// "cuda name=NVIDIA_H100 arch=90 ..." or "cpu name=... width=8 ..."; parses back, UsageError otherwise.
std::string text(const DeviceTraits& device);
DeviceTraits parse_device_traits(std::string_view text);

bool has_clusters(const DeviceTraits& device);          // sm_90 and later
bool has_dependent_launch(const DeviceTraits& device);  // sm_90 and later

}  // namespace isofold
