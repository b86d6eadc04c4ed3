#include <isofold/codegen/device_traits.hpp>

#include <fmt/format.h>

#include <array>

#include "key_values.hpp"

namespace isofold {
namespace {

struct ArchRow {
  int arch;
  const char* name;
  int multiprocessors;
  int threads_per_multiprocessor;
  int shared_per_block;
  int shared_per_multiprocessor;
  std::int64_t l2_bytes;
};

// Source: CUDA C++ Programming Guide 13.0, "Compute Capabilities", and NVIDIA's architecture papers for multiprocessor
// counts and L2 sizes of one typical product.
constexpr std::array arch_rows{
    ArchRow{80, "A100", 108, 2048, 163 * 1024, 164 * 1024, 40ll << 20},
    ArchRow{86, "A40", 84, 1536, 99 * 1024, 100 * 1024, 6ll << 20},
    ArchRow{87, "Orin", 16, 1536, 163 * 1024, 164 * 1024, 4ll << 20},
    ArchRow{89, "L40", 142, 1536, 99 * 1024, 100 * 1024, 96ll << 20},
    ArchRow{90, "H100", 132, 2048, 227 * 1024, 228 * 1024, 50ll << 20},
    ArchRow{100, "B200", 148, 2048, 227 * 1024, 228 * 1024, 126ll << 20},
    ArchRow{103, "B300", 148, 2048, 227 * 1024, 228 * 1024, 126ll << 20},
    ArchRow{120, "RTX_PRO_6000", 188, 1536, 99 * 1024, 100 * 1024, 128ll << 20},
};

}  // namespace

std::optional<DeviceTraits> traits_of_arch(std::string_view name) {
  for (const ArchRow& row : arch_rows) {
    if (name != fmt::format("sm_{}", row.arch)) continue;
    DeviceTraits d;
    d.name = row.name;
    d.arch = row.arch;
    d.multiprocessors = row.multiprocessors;
    d.threads_per_multiprocessor = row.threads_per_multiprocessor;
    d.registers_per_multiprocessor = 65536;
    d.shared_per_block = row.shared_per_block;
    d.shared_per_multiprocessor = row.shared_per_multiprocessor;
    d.l2_bytes = row.l2_bytes;
    return d;
  }
  return std::nullopt;
}

std::string text(const DeviceTraits& d) {
  if (d.kind == DeviceTraits::Kind::cpu)
    return fmt::format("cpu name={} width={} threads={} triple={} features={}", d.name, d.vector_width, d.threads,
                       d.triple, d.features);
  return fmt::format(
      "cuda name={} arch={} multiprocessors={} threads_per_multiprocessor={} registers_per_multiprocessor={} "
      "shared_per_block={} shared_per_multiprocessor={} l2_bytes={}",
      d.name, d.arch, d.multiprocessors, d.threads_per_multiprocessor, d.registers_per_multiprocessor,
      d.shared_per_block, d.shared_per_multiprocessor, d.l2_bytes);
}

DeviceTraits parse_device_traits(std::string_view text) {
  KeyValues values("device", text, {"cuda", "cpu"});
  DeviceTraits d;
  d.name = values.word("name");
  if (values.head() == "cpu") {
    d.kind = DeviceTraits::Kind::cpu;
    d.vector_width = values.number("width", 1, 64);
    d.threads = values.number("threads", 1, 1 << 16);
    d.triple = values.word("triple");
    d.features = values.word("features");
  } else {
    d.arch = values.number("arch", min_arch, 999);
    d.multiprocessors = values.number("multiprocessors", 1, 1 << 16);
    d.threads_per_multiprocessor = values.number("threads_per_multiprocessor", 1, 1 << 16);
    d.registers_per_multiprocessor = values.number("registers_per_multiprocessor", 1, 1 << 30);
    d.shared_per_block = values.number("shared_per_block", 0, 1 << 30);
    d.shared_per_multiprocessor = values.number("shared_per_multiprocessor", 0, 1 << 30);
    d.l2_bytes = values.big_number("l2_bytes", 0, 1ll << 60);
  }
  values.finish();
  return d;
}

bool has_clusters(const DeviceTraits& d) { return d.kind == DeviceTraits::Kind::cuda && d.arch >= 90; }
bool has_dependent_launch(const DeviceTraits& d) { return has_clusters(d); }

}  // namespace isofold
