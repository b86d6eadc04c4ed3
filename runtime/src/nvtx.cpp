#include "nvtx.hpp"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <string_view>

#include "dynamic_library.hpp"

namespace isofold {

/// nvtxEventAttributes_t of NVTX 2 and 3.
struct Nvtx::Attributes {
  std::uint16_t version = 3;
  std::uint16_t size = sizeof(Attributes);
  std::uint32_t category = 0;
  std::int32_t color_type = 0;  // none
  std::uint32_t color = 0;
  std::int32_t payload_type = 2;  // a signed number of 64 bits
  std::int32_t reserved = 0;
  std::int64_t payload = 0;
  std::int32_t message_type = 1;  // 1: text, 3: registered
  const void* message = nullptr;
};

namespace {

using Function = void (*)();

// What NVTX has a profiler ask for and fill in, by number: modules of functions, of which only one is used here.
constexpr std::array<unsigned, 7> module_sizes = {0, 16, 9, 15, 7, 16, 7};  // number of functions of module 1, 2, ...
constexpr unsigned used_module = 5;                                         // functions of domains
constexpr unsigned range_push = 4, range_pop = 5, register_string = 10, domain_create = 12;
constexpr unsigned most_functions = 16;

Function functions[module_sizes.size()][most_functions];
/// A list for each module of where its functions go, with a null behind the last.
Function* places[module_sizes.size()][most_functions + 1];

int module_functions(int module, Function*** table, unsigned* size) {
  if (module < 1 || module >= static_cast<int>(module_sizes.size())) return 0;
  if (table != nullptr) *table = places[module];
  if (size != nullptr) *size = module_sizes[static_cast<std::size_t>(module)];
  return 1;
}

struct Callbacks {
  std::size_t struct_size = sizeof(Callbacks);
  int (*functions)(int module, Function*** table, unsigned* size) = module_functions;
};
struct VersionInfo {
  std::size_t struct_size = sizeof(VersionInfo);
  std::uint32_t version = 3;
  std::uint32_t reserved = 0;
  void (*set_injection_version)(std::uint32_t version) = [](std::uint32_t) {};
};

const void* export_table(std::uint32_t id) {
  static const Callbacks callbacks;
  static const VersionInfo version;
  if (id == 1) return &callbacks;
  return id == 3 ? static_cast<const void*>(&version) : nullptr;
}

template <class Type>
Type function(unsigned number) {
  return reinterpret_cast<Type>(functions[used_module][number]);
}

}  // namespace

const Nvtx* Nvtx::of_process(Log& log) {
  // Profilers expect one introduction per process and library.
  static const Nvtx* const found = open(log);
  return found;
}

const Nvtx* Nvtx::open(Log& log) {
  const char* path = std::getenv("NVTX_INJECTION64_PATH");
  if (path == nullptr || *path == '\0') {
    log.debug("NVTX: no profiler (NVTX_INJECTION64_PATH is not set), no ranges");
    return nullptr;
  }
  try {
    const DynamicLibrary library(path);
    int (*initialize)(const void* (*)(std::uint32_t)) = nullptr;
    initialize = reinterpret_cast<decltype(initialize)>(library.find("InitializeInjectionNvtx2"));
    if (initialize == nullptr) throw UsageError(library.path() + " has no function InitializeInjectionNvtx2");
    for (std::size_t module = 1; module < module_sizes.size(); ++module)
      for (unsigned number = 1; number < module_sizes[module]; ++number) places[module][number] = &functions[module][number];
    // The place with number 0 is never filled in.
    for (auto& module : places) module[0] = &functions[0][0];
    if (initialize(export_table) != 1) throw UsageError(library.path() + " does not start");
    static Nvtx nvtx;
    nvtx.range_push_ = function<decltype(nvtx.range_push_)>(range_push);
    nvtx.range_pop_ = function<decltype(nvtx.range_pop_)>(range_pop);
    nvtx.register_string_ = function<decltype(nvtx.register_string_)>(register_string);
    const auto create = function<void* (*)(const char*)>(domain_create);
    if (nvtx.range_push_ == nullptr || nvtx.range_pop_ == nullptr || nvtx.register_string_ == nullptr || create == nullptr)
      throw UsageError(library.path() + " takes no ranges of domains");
    nvtx.domain_ = create("isofold");
    log.debug(fmt::format("NVTX: ranges go to {}", library.path()));
    return &nvtx;
  } catch (const UsageError& error) {
    log.warning(fmt::format("NVTX: no ranges: {}", error.what()));
    return nullptr;
  }
}

void Nvtx::push(Attributes& attributes, std::int64_t number) const {
  attributes.payload = number;
  range_push_(domain_, &attributes);
}

void Nvtx::push(void* registered_message, std::int64_t number) const {
  Attributes attributes{.message_type = 3, .message = registered_message};
  push(attributes, number);
}

void Nvtx::push(const char* message, std::int64_t number) const {
  Attributes attributes{.message = message};
  push(attributes, number);
}

}  // namespace isofold
