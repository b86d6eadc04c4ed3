#include "usage.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace isofold::tools {
namespace {

// CUDA C++ Programming Guide 13.0, "Compute Capabilities": allocation units and the most blocks of a
// multiprocessor.
constexpr int registers_unit = 256;  // of a warp
constexpr int shared_unit = 128;
constexpr int shared_of_the_system = 1024;  // of every block
constexpr int register_files = 4;

int most_blocks(int arch) {
  switch (arch) {
    case 86:
    case 87:
      return 16;
    case 89:
    case 120:
      return 24;
    default:
      return 32;
  }
}

int rounded_up(int value, int unit) { return (value + unit - 1) / unit * unit; }

/// Number before `words` in the part of `text` that speaks of `kernel`; 0 when it is not there.
int number_before(std::string_view text, const std::string& kernel, std::string_view words) {
  const std::size_t start = text.find("'" + kernel + "'");
  const std::size_t place = text.find(words, start == text.npos ? 0 : start);
  if (place == text.npos) return 0;
  std::size_t first = place;
  while (first > 0 && text[first - 1] >= '0' && text[first - 1] <= '9') --first;
  int value = 0;
  std::from_chars(text.data() + first, text.data() + place, value);
  return value;
}

void estimate_occupancy(KernelUsage& usage, const DeviceTraits& device) {
  const int warps = (usage.block_threads + 31) / 32;
  const int warp_registers = rounded_up(std::max(1, usage.resources.registers) * 32, registers_unit);
  const int warps_by_registers =
      device.registers_per_multiprocessor / register_files / warp_registers * register_files;
  const int shared = rounded_up(usage.shared_bytes + shared_of_the_system, shared_unit);
  const std::pair<int, const char*> limits[] = {
      {warps_by_registers / warps, "registers"},
      {device.shared_per_multiprocessor / shared, "shared memory"},
      {device.threads_per_multiprocessor / usage.block_threads, "threads"},
      {most_blocks(device.arch), "blocks"}};
  const auto least = *std::min_element(std::begin(limits), std::end(limits),
                                       [](const auto& a, const auto& b) { return a.first < b.first; });
  usage.blocks_per_multiprocessor = least.first;
  usage.limited_by = least.second;
  usage.occupancy = static_cast<double>(least.first * warps * 32) / device.threads_per_multiprocessor;
}

}  // namespace

std::vector<KernelUsage> usage_of(const Plan& plan, const KernelImage& image) {
  const GpuShape shape = gpu_shape(plan);
  std::vector<KernelUsage> all;
  for (const std::string& entry : image.entries) {
    KernelUsage usage;
    usage.resources = isofold::usage_of(image.code, entry);
    usage.spill_bytes = number_before(image.usage, entry, " bytes spill stores");
    usage.block_threads = shape.block_threads;
    usage.shared_bytes = usage.resources.static_shared_bytes + shape.staging_bytes;
    estimate_occupancy(usage, plan.device());
    all.push_back(std::move(usage));
  }
  return all;
}

void print_usage(const Console& console, const KernelUsage& usage) {
  console.line("{}", console.bold(usage.resources.kernel));
  console.line("registers     {} a thread", usage.resources.registers);
  console.line("spills        {}, stack {}", counted(usage.spill_bytes, "byte"),
               counted(usage.resources.stack_bytes, "byte"));
  console.line("shared memory {} a block ({} static)", counted(usage.shared_bytes, "byte"),
               usage.resources.static_shared_bytes);
  console.line("occupancy     about {:.0f} %: {} of {} on a multiprocessor, limited by {}",
               100 * usage.occupancy, counted(usage.blocks_per_multiprocessor, "block"),
               counted(usage.block_threads, "thread"), usage.limited_by);
}

Json to_json(const KernelUsage& usage) {
  return {{"kernel", usage.resources.kernel},
          {"registers", usage.resources.registers},
          {"stack_bytes", usage.resources.stack_bytes},
          {"spill_bytes", usage.spill_bytes},
          {"static_shared_bytes", usage.resources.static_shared_bytes},
          {"shared_bytes", usage.shared_bytes},
          {"block_threads", usage.block_threads},
          {"blocks_per_multiprocessor", usage.blocks_per_multiprocessor},
          {"occupancy", usage.occupancy},
          {"limited_by", usage.limited_by}};
}

}  // namespace isofold::tools
