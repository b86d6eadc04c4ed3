#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dynamic_library.hpp"

namespace isofold {

/// Where to look for NVRTC.
struct NvrtcSearch {
  std::optional<std::string> path{};      ///< this one and no other
  std::vector<std::string> cuda_roots{};  ///< toolkit folders, searched before /usr/local/cuda*
  std::vector<std::string>
      python_roots{};     ///< prefixes whose lib/python3*/site-packages may hold NVIDIA's wheels
  int newest_major = 13;  ///< of the driver: an older driver does not load a newer cubin
  int device_arch = 0;    ///< of the device to compile for (see `target_for`); 0: any
};

struct CompileResult {
  std::string ptx;
  std::string cubin;
  std::string log;  ///< warnings; "" when there are none
  std::string
      usage;  ///< what ptxas says of registers, stack frame, spills and shared memory, a few lines a kernel
};

/// The run-time compiler of CUDA 12 or 13, opened when it is asked for. Thread-safe; compiles run side by
/// side.
class Nvrtc {
 public:
  /// The first library of the search that opens, is of a version that is known, has every function, and can
  /// compile for the device asked for. UsageError that lists what was tried and why it was not taken.
  static std::shared_ptr<const Nvrtc> open(const NvrtcSearch& search = {});

  /// "13.0"
  const std::string& version() const { return version_; }
  const std::string& library_path() const { return library_.path(); }
  /// Ascending: 80 for sm_80.
  const std::vector<int>& supported_archs() const { return archs_; }
  /// The arch to compile for so that a device of `device_arch` runs it: the same, else the newest supported
  /// one of the same major and a lower minor. UsageError when there is none.
  int target_for(int device_arch) const;

  /// Every option that `compile` passes, in order: what a cache key has to hold.
  static std::vector<std::string> options(int arch, std::span<const std::string> extra = {});

  /// Compiles `source` (complete: it includes nothing) for the real `arch`. `program_name` is what messages
  /// call it. UsageError when `arch` is not supported or the installation is broken; InternalError with the
  /// options and the log when the source does not compile.
  CompileResult compile(const std::string& source, const std::string& program_name, int arch,
                        std::span<const std::string> extra = {}) const;

 private:
  using Program = struct NvrtcProgram*;
  enum class Result : int { success = 0, out_of_memory = 1, builtin_operation_failure = 7 };
  struct Functions {
    Result (*version)(int* major, int* minor);
    const char* (*error_string)(Result result);
    Result (*arch_count)(int* count);
    Result (*archs)(int* archs);
    Result (*create)(Program* program, const char* source, const char* name, int header_count,
                     const char* const* headers, const char* const* header_names);
    Result (*destroy)(Program* program);
    Result (*compile)(Program program, int option_count, const char* const* options);
    Result (*ptx_size)(Program program, std::size_t* size);
    Result (*ptx)(Program program, char* ptx);
    Result (*cubin_size)(Program program, std::size_t* size);
    Result (*cubin)(Program program, char* cubin);
    Result (*log_size)(Program program, std::size_t* size);
    Result (*log)(Program program, char* log);
  };

  explicit Nvrtc(DynamicLibrary library);
  void check(Result result, const char* what) const;
  std::string text_of(Program program, Result (*size)(Program, std::size_t*), Result (*get)(Program, char*),
                      const char* what) const;

  DynamicLibrary library_;
  Functions functions_{};
  std::string version_;
  std::vector<int> archs_;
};

}  // namespace isofold
