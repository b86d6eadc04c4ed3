#pragma once
// A cubin with the same kernels for the host behind it: what the stand-in for NVRTC writes and the one for libcuda loads.
#include <elf.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

namespace isofold::software_gpu {

/// Says in the last padding byte of an ELF header that something is attached.
inline constexpr char attachment_mark = 'h';

/// Where an attachment begins: at the next 16 bytes behind the ELF file's last part.
inline std::size_t attachment_offset(const char* image) {
  Elf64_Ehdr header;
  std::memcpy(&header, image, sizeof header);
  std::size_t end = std::max(header.e_shoff + std::size_t{header.e_shnum} * header.e_shentsize,
                             header.e_phoff + std::size_t{header.e_phnum} * header.e_phentsize);
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    std::memcpy(&section, image + header.e_shoff + i * header.e_shentsize, sizeof section);
    if (section.sh_type != SHT_NOBITS) end = std::max(end, section.sh_offset + section.sh_size);
  }
  return (end + 15) / 16 * 16;
}

inline void attach(std::string& cubin, std::string_view host_code) {
  const std::size_t offset = attachment_offset(cubin.data());
  if (cubin.size() > offset) throw std::runtime_error("a cubin goes on behind its last section");
  cubin[EI_NIDENT - 1] = attachment_mark;
  cubin.resize(offset);
  const std::uint64_t bytes = host_code.size();
  cubin.append(reinterpret_cast<const char*>(&bytes), sizeof bytes).append(host_code);
}

/// Empty for an image without an attachment.
inline std::string_view attached(const char* image) {
  if (std::strncmp(image, ELFMAG, SELFMAG) != 0 || image[EI_NIDENT - 1] != attachment_mark) return {};
  const char* place = image + attachment_offset(image);
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, place, sizeof bytes);
  return {place + sizeof bytes, bytes};
}

}  // namespace isofold::software_gpu
