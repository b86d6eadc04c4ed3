#include "cubin_usage.hpp"

#include <elf.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <isofold/error.hpp>

namespace isofold {
namespace {

// A cubin is an ELF file for machine 190. The numbers below are not documented; tests/unit/nvrtc_test.cpp
// compares what is read here with what ptxas prints, for every NVRTC that it finds.
constexpr int machine_cuda = 190;
constexpr unsigned char wide_arch_abi =
    0x41;                                     // from this ABI on the architecture is in bits 8..15 of e_flags
constexpr unsigned char kernel_entry = 0x10;  // flag in st_other
constexpr unsigned char record_with_payload = 4;      // .nv.info: format of a record
constexpr unsigned char attribute_frame_size = 0x11;  // .nv.info: (symbol, bytes)
constexpr unsigned char attribute_min_stack = 0x12;
constexpr unsigned char attribute_registers = 0x2f;
constexpr int reserved_shared_bytes = 1024;  // of every block on sm_90 and newer, counted in .nv.shared

/// Reads past the end are refused, whatever the headers say.
class Image {
 public:
  explicit Image(std::string_view bytes) : bytes_(bytes) {}

  std::string_view range(std::uint64_t offset, std::uint64_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) throw InternalError("a cubin is cut short");
    return bytes_.substr(offset, size);
  }
  template <class Record>
  Record at(std::uint64_t offset) const {
    Record record;
    std::memcpy(&record, range(offset, sizeof(Record)).data(), sizeof(Record));
    return record;
  }
  std::string_view text(const Elf64_Shdr& table, std::uint64_t offset) const {
    const std::string_view all = range(table.sh_offset, table.sh_size);
    if (offset > all.size()) throw InternalError("a cubin has a name outside its name table");
    return all.substr(offset, all.find('\0', offset) - offset);
  }

 private:
  std::string_view bytes_;
};

struct Kernel {
  std::uint32_t symbol;
  ResourceUsage usage;
};

void read_attributes(const Image& section, std::size_t size, std::vector<Kernel>& kernels) {
  for (std::size_t offset = 0; offset + 4 <= size;) {
    const auto format = section.at<unsigned char>(offset);
    const auto attribute = section.at<unsigned char>(offset + 1);
    const auto payload = section.at<std::uint16_t>(offset + 2);
    offset += 4;
    if (format != record_with_payload) continue;
    if (payload == 8) {
      const auto symbol = section.at<std::uint32_t>(offset);
      const auto value = static_cast<int>(section.at<std::uint32_t>(offset + 4));
      for (Kernel& kernel : kernels) {
        if (kernel.symbol != symbol) continue;
        if (attribute == attribute_registers) kernel.usage.registers = value;
        if (attribute == attribute_frame_size || attribute == attribute_min_stack)
          kernel.usage.stack_bytes = std::max(kernel.usage.stack_bytes, value);
      }
    }
    offset += payload;
  }
}

}  // namespace

std::vector<ResourceUsage> usage_of(std::string_view cubin) {
  const Image image(cubin);
  const auto header = image.at<Elf64_Ehdr>(0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_machine != machine_cuda)
    throw InternalError("the compiler's output is not a cubin");
  const bool wide_arch = header.e_ident[EI_OSABI] >= wide_arch_abi;
  const int arch = static_cast<int>(wide_arch ? (header.e_flags >> 8) & 0xff : header.e_flags & 0xff);

  std::vector<Elf64_Shdr> sections;
  for (std::size_t index = 0; index < header.e_shnum; ++index)
    sections.push_back(image.at<Elf64_Shdr>(header.e_shoff + index * sizeof(Elf64_Shdr)));
  const auto section_at = [&](std::size_t index) -> const Elf64_Shdr& {
    if (index >= sections.size()) throw InternalError("a cubin names a section that it does not have");
    return sections[index];
  };
  const auto name_of = [&](const Elf64_Shdr& section) {
    return image.text(section_at(header.e_shstrndx), section.sh_name);
  };

  std::vector<Kernel> kernels;
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_SYMTAB) continue;
    for (std::uint32_t index = 0; index < section.sh_size / sizeof(Elf64_Sym); ++index) {
      const auto symbol = image.at<Elf64_Sym>(section.sh_offset + index * sizeof(Elf64_Sym));
      if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || (symbol.st_other & kernel_entry) == 0) continue;
      ResourceUsage usage;
      usage.kernel = image.text(section_at(section.sh_link), symbol.st_name);
      kernels.push_back({index, std::move(usage)});
    }
  }
  for (const Elf64_Shdr& section : sections) {
    const std::string_view name = name_of(section);
    if (name == ".nv.info") {
      const std::string_view content = image.range(section.sh_offset, section.sh_size);
      read_attributes(Image(content), content.size(), kernels);
    }
    for (Kernel& kernel : kernels) {
      if (name != ".nv.shared." + kernel.usage.kernel) continue;
      const int bytes = static_cast<int>(section.sh_size);
      kernel.usage.static_shared_bytes = arch >= 90 ? std::max(0, bytes - reserved_shared_bytes) : bytes;
    }
  }
  std::vector<ResourceUsage> usages;
  for (Kernel& kernel : kernels) usages.push_back(std::move(kernel.usage));
  return usages;
}

ResourceUsage usage_of(std::string_view cubin, std::string_view name) {
  for (ResourceUsage& usage : usage_of(cubin))
    if (usage.kernel == name) return std::move(usage);
  throw InternalError("a cubin has no kernel " + std::string(name));
}

}  // namespace isofold
