#pragma once
#include <isofold/error.hpp>
#include <string>
#include <vector>

namespace isofold {

/// A shared library opened with RTLD_NOW | RTLD_LOCAL. It stays mapped when the object goes (RTLD_NODELETE):
/// libcuda and NVRTC keep threads and exit handlers. Move-only; const members may be called from any thread.
class DynamicLibrary {
 public:
  /// Opens `path`: a file, or a bare name that the loader searches for. UsageError with the loader's words.
  explicit DynamicLibrary(const std::string& path);
  /// The first of `candidates` that opens. UsageError that lists every candidate and why it did not open,
  /// after `what` ("the CUDA driver").
  static DynamicLibrary first_of(const std::vector<std::string>& candidates, const std::string& what);

  DynamicLibrary(DynamicLibrary&& other) noexcept;
  DynamicLibrary& operator=(DynamicLibrary&& other) noexcept;
  ~DynamicLibrary();

  /// Address of `name`, or null.
  void* find(const char* name) const noexcept;
  /// Address of `name`; UsageError that names the library and the symbol when it is missing (an old version).
  void* get(const char* name) const;
  /// `get` for a function, stored in `function`.
  template <class Function>
  void get(Function*& function, const char* name) const {
    function = reinterpret_cast<Function*>(get(name));
  }

  /// The file that was opened, as the loader resolved it.
  const std::string& path() const noexcept { return path_; }

 private:
  DynamicLibrary() = default;
  static DynamicLibrary try_open(const std::string& path, std::string& problem);

  void* handle_ = nullptr;
  std::string path_;
};

}  // namespace isofold
