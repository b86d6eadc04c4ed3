#include "simt/host_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "simt/host_text.hpp"

namespace isofold::simt {
namespace {

namespace fs = std::filesystem;

std::string symbol_of(std::size_t source, const std::string& entry) {
  return fmt::format("simt_{}_{}", source, entry);
}

std::string library_text(std::span<const HostSource> sources) {
  std::string text = "#include \"simt/host_helpers.hpp\"\n";
  text += "extern \"C\" {\nconst SimtHooks* simt_hooks;\nconst SimtThread* simt_current;\n}\n";
  for (std::size_t i = 0; i < sources.size(); ++i) {
    text += fmt::format("namespace source_{} {{\n#line 1 \"{}\"\n{}\n}}\n", i, sources[i].program_name,
                        host_text(sources[i].text));
    for (const std::string& entry : sources[i].entries)
      text += fmt::format(
          "extern \"C\" void {0}(void** arguments) {{ simt_host::call(source_{1}::{2}, arguments); }}\n"
          "extern \"C\" unsigned long {0}_bytes(unsigned long index) {{ return simt_host::parameter_bytes(source_{1}::{2}, index); }}\n",
          symbol_of(i, entry), i, entry);
  }
  return text;
}

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string compiler_flags() {
  // Not optimised: compiling takes far longer than running.
  std::string flags =
      "-std=c++20 -O0 -fPIC -shared -ffp-contract=off -Wall -Wunused-const-variable -Wno-unknown-pragmas";
#if defined(__x86_64__)
  if (__builtin_cpu_supports("fma")) flags += " -mfma";
#endif
  return flags;
}

}  // namespace

std::string compile_host_library(std::span<const HostSource> sources, const fs::path& library) {
  const auto beside = [&](const char* suffix) { return fs::path(library.string() + suffix); };
  const fs::path source = beside(".cpp"), log = beside(".txt");
  std::ofstream(source, std::ios::binary) << library_text(sources);
  const std::string command =
      fmt::format("'{}' {} -I'{}' '{}' -o '{}' >'{}' 2>&1", ISOFOLD_HOST_COMPILER, compiler_flags(),
                  ISOFOLD_TEST_INCLUDE, source.string(), library.string(), log.string());
  if (std::system(command.c_str()) != 0)
    throw std::runtime_error(
        fmt::format("the host compiler refused generated text:\n{}\n{}", command, read(log)));
  return read(log);
}

HostLibrary::HostLibrary(const fs::path& library) : library_(dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL)) {
  if (!library_) throw std::runtime_error(fmt::format("kernels for the host cannot be loaded: {}", dlerror()));
}

HostLibrary::~HostLibrary() { dlclose(library_); }

bool HostLibrary::bind(Launch& launch, std::size_t source, const std::string& entry) const {
  launch.entry = reinterpret_cast<void (*)(void**)>(dlsym(library_, symbol_of(source, entry).c_str()));
  launch.hooks = static_cast<const SimtHooks**>(dlsym(library_, "simt_hooks"));
  launch.current = static_cast<const SimtThread**>(dlsym(library_, "simt_current"));
  return launch.entry != nullptr;
}

std::vector<std::size_t> HostLibrary::parameter_bytes(std::size_t source, const std::string& entry) const {
  const auto bytes = reinterpret_cast<unsigned long (*)(unsigned long)>(dlsym(library_, (symbol_of(source, entry) + "_bytes").c_str()));
  std::vector<std::size_t> sizes;
  while (const std::size_t size = bytes(sizes.size())) sizes.push_back(size);
  return sizes;
}

}  // namespace isofold::simt
