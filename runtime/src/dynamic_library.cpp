#include "dynamic_library.hpp"

#include <dlfcn.h>
#include <link.h>

#include <utility>

namespace isofold {

DynamicLibrary DynamicLibrary::try_open(const std::string& path, std::string& problem) {
  DynamicLibrary library;
  library.handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library.handle_ == nullptr) {
    const char* reason = dlerror();
    problem = reason != nullptr ? reason : path + ": cannot be opened";
    return library;
  }
  link_map* map = nullptr;
  const bool named =
      dlinfo(library.handle_, RTLD_DI_LINKMAP, &map) == 0 && map != nullptr && map->l_name[0] != '\0';
  library.path_ = named ? map->l_name : path;
  return library;
}

DynamicLibrary::DynamicLibrary(const std::string& path) {
  std::string problem;
  DynamicLibrary library = try_open(path, problem);
  if (library.handle_ == nullptr) throw UsageError("cannot open the shared library: " + problem);
  *this = std::move(library);
}

DynamicLibrary DynamicLibrary::first_of(const std::vector<std::string>& candidates, const std::string& what) {
  std::string tried;
  for (const std::string& candidate : candidates) {
    std::string problem;
    DynamicLibrary library = try_open(candidate, problem);
    if (library.handle_ != nullptr) return library;
    tried += "\n  " + problem;
  }
  throw UsageError("cannot open " + what + "; tried:" + tried);
}

DynamicLibrary::DynamicLibrary(DynamicLibrary&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), path_(std::move(other.path_)) {}

DynamicLibrary& DynamicLibrary::operator=(DynamicLibrary&& other) noexcept {
  DynamicLibrary moved(std::move(other));
  std::swap(handle_, moved.handle_);
  std::swap(path_, moved.path_);
  return *this;
}

DynamicLibrary::~DynamicLibrary() {
  if (handle_ != nullptr) dlclose(handle_);
}

void* DynamicLibrary::find(const char* name) const noexcept { return dlsym(handle_, name); }

void* DynamicLibrary::get(const char* name) const {
  void* address = find(name);
  if (address == nullptr)
    throw UsageError(path_ + " has no function " + name + ": CUDA 12.0 or newer is needed");
  return address;
}

}  // namespace isofold
