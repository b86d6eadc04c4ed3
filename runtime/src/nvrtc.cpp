#include "nvrtc.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>

namespace isofold {
namespace {

namespace fs = std::filesystem;

constexpr int newest_known_major = 13;
constexpr int oldest_known_major = 12;

// The bits do not depend on them, because the source says every rounding and every fma itself; they stop the
// compiler from being asked for anything else. No precompiled headers (off unless asked for), no folder to
// include from.
constexpr const char* standard_options[] = {
    "--fmad=false", "--std=c++17",         "--prec-div=true",    "--prec-sqrt=true",
    "--ftz=false",  "--no-source-include", "--ptxas-options=-v",
};

/// Folders below `parent` whose name starts with `prefix`, the last in the alphabet (the newest version)
/// first.
std::vector<std::string> folders(const std::string& parent, const std::string& prefix) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator item(parent, error), end; !error && item != end; item.increment(error))
    if (item->path().filename().string().starts_with(prefix)) found.push_back(item->path().string());
  std::sort(found.begin(), found.end(), std::greater<>());
  return found;
}

std::vector<std::string> candidates(const NvrtcSearch& search) {
  if (search.path) return {*search.path};
  std::vector<std::string> sonames;
  for (int major = std::min(search.newest_major, newest_known_major); major >= oldest_known_major; --major)
    sonames.push_back(fmt::format("libnvrtc.so.{}", major));
  std::vector<std::string> toolkits = search.cuda_roots;
  toolkits.push_back("/usr/local/cuda");
  for (std::string& folder : folders("/usr/local", "cuda-")) toolkits.push_back(std::move(folder));
  std::vector<std::string> libraries;
  for (const std::string& toolkit : toolkits)
    for (const char* folder : {"/lib64", "/lib"}) libraries.push_back(toolkit + folder);
  std::vector<std::string> prefixes = search.python_roots;
  prefixes.insert(prefixes.end(), {"/usr/local", "/usr"});
  for (const std::string& prefix : prefixes)
    for (const std::string& python : folders(prefix + "/lib", "python3"))
      for (const char* packages : {"/site-packages", "/dist-packages"})
        for (const char* wheel : {"/nvidia/cu13/lib", "/nvidia/cuda_nvrtc/lib"})
          libraries.push_back(python + packages + wheel);

  // A bare name finds what the process has loaded already and the distribution's library folders.
  std::vector<std::string> found = sonames;
  for (const std::string& folder : libraries)
    for (const std::string& soname : sonames) {
      std::error_code error;
      if (fs::exists(folder + "/" + soname, error)) found.push_back(folder + "/" + soname);
    }
  return found;
}

/// Splits what the compiler wrote into warnings and what ptxas says of resources. Compile times are dropped,
/// so that equal programs give equal text.
void split_log(std::string_view text, CompileResult& result) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end);
    const bool usage = line.starts_with("ptxas info") || line.starts_with("ptxas         .");
    if (!usage)
      result.log += line;
    else if (line.find("Compile time") == std::string_view::npos)
      result.usage += line;
  }
  while (result.log.ends_with('\n')) result.log.pop_back();
}

}  // namespace

std::shared_ptr<const Nvrtc> Nvrtc::open(const NvrtcSearch& search) {
  std::string tried;
  for (const std::string& candidate : candidates(search)) {
    try {
      const std::shared_ptr<const Nvrtc> nvrtc(new Nvrtc(DynamicLibrary(candidate)));
      if (search.device_arch != 0) nvrtc->target_for(search.device_arch);
      return nvrtc;
    } catch (const UsageError& error) {
      tried += fmt::format("\n  {}", error.what());
    }
  }
  throw UsageError(fmt::format(
      "cannot open NVRTC of CUDA {} to {}{} (install a CUDA toolkit or NVIDIA's NVRTC package, or "
      "name the library in ISOFOLD_NVRTC); tried:{}",
      oldest_known_major, std::min(search.newest_major, newest_known_major),
      search.device_arch != 0 ? fmt::format(" that compiles for sm_{}", search.device_arch) : "", tried));
}

Nvrtc::Nvrtc(DynamicLibrary library) : library_(std::move(library)) {
  library_.get(functions_.version, "nvrtcVersion");
  library_.get(functions_.error_string, "nvrtcGetErrorString");
  library_.get(functions_.arch_count, "nvrtcGetNumSupportedArchs");
  library_.get(functions_.archs, "nvrtcGetSupportedArchs");
  library_.get(functions_.create, "nvrtcCreateProgram");
  library_.get(functions_.destroy, "nvrtcDestroyProgram");
  library_.get(functions_.compile, "nvrtcCompileProgram");
  library_.get(functions_.ptx_size, "nvrtcGetPTXSize");
  library_.get(functions_.ptx, "nvrtcGetPTX");
  library_.get(functions_.cubin_size, "nvrtcGetCUBINSize");
  library_.get(functions_.cubin, "nvrtcGetCUBIN");
  library_.get(functions_.log_size, "nvrtcGetProgramLogSize");
  library_.get(functions_.log, "nvrtcGetProgramLog");
  int major = 0;
  int minor = 0;
  check(functions_.version(&major, &minor), "nvrtcVersion");
  version_ = fmt::format("{}.{}", major, minor);
  if (major < oldest_known_major || major > newest_known_major)
    throw UsageError(fmt::format("{} is NVRTC {}; {}.0 to {}.x are accepted", library_path(), version_,
                                 oldest_known_major, newest_known_major));
  int count = 0;
  check(functions_.arch_count(&count), "nvrtcGetNumSupportedArchs");
  archs_.resize(static_cast<std::size_t>(count));
  check(functions_.archs(archs_.data()), "nvrtcGetSupportedArchs");
  std::sort(archs_.begin(), archs_.end());
}

void Nvrtc::check(Result result, const char* what) const {
  if (result != Result::success)
    throw UsageError(
        fmt::format("{} of {} failed: {}", what, library_path(), functions_.error_string(result)));
}

int Nvrtc::target_for(int device_arch) const {
  int best = 0;
  for (int arch : archs_)
    if (arch / 10 == device_arch / 10 && arch <= device_arch) best = arch;
  if (best == 0)
    throw UsageError(fmt::format("NVRTC {} ({}) cannot compile for sm_{}; it knows sm_{}", version_,
                                 library_path(), device_arch, fmt::join(archs_, ", sm_")));
  return best;
}

std::vector<std::string> Nvrtc::options(int arch, std::span<const std::string> extra) {
  std::vector<std::string> all = {fmt::format("--gpu-architecture=sm_{}", arch)};
  all.insert(all.end(), std::begin(standard_options), std::end(standard_options));
  all.insert(all.end(), extra.begin(), extra.end());
  return all;
}

std::string Nvrtc::text_of(Program program, Result (*size)(Program, std::size_t*),
                           Result (*get)(Program, char*), const char* what) const {
  std::size_t bytes = 0;
  check(size(program, &bytes), what);
  std::string text(bytes, '\0');
  if (bytes > 0) check(get(program, text.data()), what);
  return text;
}

CompileResult Nvrtc::compile(const std::string& source, const std::string& program_name, int arch,
                             std::span<const std::string> extra) const {
  if (!std::binary_search(archs_.begin(), archs_.end(), arch))
    throw UsageError(fmt::format("NVRTC {} ({}) cannot compile for sm_{}; it knows sm_{}", version_,
                                 library_path(), arch, fmt::join(archs_, ", sm_")));
  Program created = nullptr;
  check(functions_.create(&created, source.c_str(), program_name.c_str(), 0, nullptr, nullptr),
        "nvrtcCreateProgram");
  const auto destroy = [this](Program program) { functions_.destroy(&program); };
  const std::unique_ptr<NvrtcProgram, decltype(destroy)> owner(created, destroy);

  const std::vector<std::string> option_texts = options(arch, extra);
  std::vector<const char*> option_pointers;
  for (const std::string& option : option_texts) option_pointers.push_back(option.c_str());
  const Result result =
      functions_.compile(created, static_cast<int>(option_pointers.size()), option_pointers.data());
  std::string log = text_of(created, functions_.log_size, functions_.log, "nvrtcGetProgramLog");
  log.resize(std::min(log.find('\0'), log.size()));
  if (result == Result::out_of_memory || result == Result::builtin_operation_failure)
    check(result, "nvrtcCompileProgram");
  if (result != Result::success)
    throw InternalError(fmt::format("NVRTC {} cannot compile {}: {}\noptions: {}\n{}", version_, program_name,
                                    functions_.error_string(result), fmt::join(option_texts, " "), log));
  CompileResult compiled;
  split_log(log, compiled);
  compiled.ptx = text_of(created, functions_.ptx_size, functions_.ptx, "nvrtcGetPTX");
  compiled.ptx.resize(std::min(compiled.ptx.find('\0'), compiled.ptx.size()));
  compiled.cubin = text_of(created, functions_.cubin_size, functions_.cubin, "nvrtcGetCUBIN");
  return compiled;
}

}  // namespace isofold
