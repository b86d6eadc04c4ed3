// A stand-in for NVRTC with the same exported names. The real one compiles; what this one adds is the same text compiled for
// the host, behind the cubin, so that the stand-in for libcuda can run it. The real one is searched for as the runtime does,
// but ISOFOLD_NVRTC names this one: SOFTWARE_GPU_NVRTC takes its place. A text that contains what SOFTWARE_GPU_REJECTS says does
// not compile; one that contains what SOFTWARE_GPU_SPOILS says becomes an image that does not load.
#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <isofold/error.hpp>
#include <iterator>
#include <memory>
#include <regex>
#include <string>
#include <vector>

#include "image.hpp"
#include "nvrtc.hpp"
#include "settings.hpp"
#include "simt/host_library.hpp"
#include "support/temporary_folder.hpp"

namespace {

using namespace isofold;

enum Result : int { success = 0, compilation = 6, internal = 11 };

struct Program {
  std::string text, name, log, ptx, cubin;
};

const Nvrtc& real() {
  static const std::shared_ptr<const Nvrtc> nvrtc = [] {
    const Settings settings = Settings::from_environment();
    const char* path = std::getenv("SOFTWARE_GPU_NVRTC");
    return Nvrtc::open({.path = path != nullptr ? std::optional<std::string>(path) : std::nullopt,
                        .cuda_roots = settings.cuda_roots,
                        .python_roots = settings.python_roots});
  }();
  return *nvrtc;
}

bool names(const char* variable, const std::string& text) {
  const char* part = std::getenv(variable);
  return part != nullptr && text.find(part) != text.npos;
}

std::vector<std::string> entries_of(const std::string& text) {
  static const std::regex entry(R"(extern "C" __global__ void (?:__launch_bounds__\([^)]*\) )?(\w+)\()");
  std::vector<std::string> entries;
  for (std::sregex_iterator at(text.begin(), text.end(), entry), end; at != end; ++at) entries.push_back((*at)[1]);
  return entries;
}

/// A shared object with the program's kernels.
std::string host_code(const Program& program) {
  const testing::TemporaryFolder folder;
  const std::string library = folder / "kernels.so";
  const simt::HostSource source{program.text, program.name, entries_of(program.text)};
  simt::compile_host_library({&source, 1}, library);
  std::ifstream in(library, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The options are those of Nvrtc::options, in its order; what follows the standard ones is the caller's.
void compile(Program& program, const std::vector<std::string>& options) {
  if (names("SOFTWARE_GPU_REJECTS", program.text)) throw std::runtime_error("SOFTWARE_GPU_REJECTS names this text");
  int arch = 0;
  const std::string number = options.at(0).substr(options[0].rfind('_') + 1);
  std::from_chars(number.data(), number.data() + number.size(), arch);
  const std::size_t standard = Nvrtc::options(arch).size();
  CompileResult compiled = real().compile(program.text, program.name, arch, std::span(options).subspan(standard));
  program.log = compiled.usage + compiled.log;
  program.ptx = std::move(compiled.ptx);
  program.cubin = std::move(compiled.cubin);
  if (!names("SOFTWARE_GPU_SPOILS", program.text)) software_gpu::attach(program.cubin, host_code(program));
}

Result size_of_text(const std::string& text, std::size_t* size) { return *size = text.size() + 1, success; }
Result copy_text(const std::string& text, char* to) { return std::memcpy(to, text.c_str(), text.size() + 1), success; }

}  // namespace

#define SOFTWARE_NVRTC extern "C" __attribute__((visibility("default"))) Result

SOFTWARE_NVRTC nvrtcVersion(int* major, int* minor) try {
  return std::sscanf(real().version().c_str(), "%d.%d", major, minor) == 2 ? success : internal;
} catch (const UsageError&) {
  return internal;
}
extern "C" __attribute__((visibility("default"))) const char* nvrtcGetErrorString(Result result) {
  return result == success ? "success" : result == compilation ? "the text does not compile" : "NVRTC itself cannot be opened";
}
SOFTWARE_NVRTC nvrtcGetNumSupportedArchs(int* count) {
  return *count = static_cast<int>(real().supported_archs().size()), success;
}
SOFTWARE_NVRTC nvrtcGetSupportedArchs(int* archs) {
  return std::copy(real().supported_archs().begin(), real().supported_archs().end(), archs), success;
}
SOFTWARE_NVRTC nvrtcCreateProgram(Program** program, const char* text, const char* name, int, const char* const*,
                                  const char* const*) {
  return *program = new Program{text, name, {}, {}, {}}, success;
}
SOFTWARE_NVRTC nvrtcDestroyProgram(Program** program) { return delete *program, *program = nullptr, success; }
SOFTWARE_NVRTC nvrtcCompileProgram(Program* program, int count, const char* const* options) try {
  compile(*program, {options, options + count});
  return success;
} catch (const std::exception& error) {
  return program->log = error.what(), compilation;
}
SOFTWARE_NVRTC nvrtcGetProgramLogSize(Program* program, std::size_t* size) { return size_of_text(program->log, size); }
SOFTWARE_NVRTC nvrtcGetProgramLog(Program* program, char* log) { return copy_text(program->log, log); }
SOFTWARE_NVRTC nvrtcGetPTXSize(Program* program, std::size_t* size) { return size_of_text(program->ptx, size); }
SOFTWARE_NVRTC nvrtcGetPTX(Program* program, char* ptx) { return copy_text(program->ptx, ptx); }
SOFTWARE_NVRTC nvrtcGetCUBINSize(Program* program, std::size_t* size) { return *size = program->cubin.size(), success; }
SOFTWARE_NVRTC nvrtcGetCUBIN(Program* program, char* cubin) {
  return std::memcpy(cubin, program->cubin.data(), program->cubin.size()), success;
}
