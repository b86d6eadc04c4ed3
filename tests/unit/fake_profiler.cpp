// Stands in for a profiler's library: takes the functions that NVTX 3 offers to fill in and writes down what they are told.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

namespace {

using Function = void (*)();

std::string log_text;

struct Attributes {  // nvtxEventAttributes_t
  std::uint16_t version, size;
  std::uint32_t category;
  std::int32_t color_type;
  std::uint32_t color;
  std::int32_t payload_type, reserved;
  std::int64_t payload;
  std::int32_t message_type;
  const void* message;
};
static_assert(sizeof(Attributes) == 48);

int domain_push(void* domain, const Attributes* a) {
  if (a->version != 3 || a->size != sizeof(Attributes) || a->payload_type != 2) log_text += "wrong attributes;";
  const std::string message = a->message_type == 3 ? *static_cast<const std::string*>(a->message) : static_cast<const char*>(a->message);
  log_text += *static_cast<std::string*>(domain) + " push " + message + " " + std::to_string(a->payload) + ";";
  return 0;
}
int domain_pop(void*) {
  log_text += "pop;";
  return 0;
}
std::deque<std::string>& texts() {
  static std::deque<std::string> kept;
  return kept;
}
void* keep(void*, const char* text) { return &texts().emplace_back(text); }
void* domain_create(const char* name) { return &texts().emplace_back(name); }

struct Callbacks {
  std::size_t struct_size;
  int (*functions)(int module, Function*** table, unsigned* size);
};

}  // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED int InitializeInjectionNvtx2(const void* (*export_table)(std::uint32_t)) {
  const auto* callbacks = static_cast<const Callbacks*>(export_table(1));
  if (callbacks == nullptr || callbacks->struct_size < sizeof(Callbacks) || export_table(3) == nullptr || export_table(2) != nullptr) return 0;
  // A profiler asks for every module; each has room for its functions and a null behind them.
  for (const int module : {1, 2, 3, 4, 5, 6}) {
    Function** table = nullptr;
    unsigned size = 0;
    if (callbacks->functions(module, &table, &size) != 1 || size < 7 || table[size] != nullptr) return 0;
    for (unsigned i = 1; i < size; ++i)
      if (table[i] == nullptr) return 0;
    if (module != 5) continue;
    if (size != 16) return 0;
    *table[4] = reinterpret_cast<Function>(domain_push);
    *table[5] = reinterpret_cast<Function>(domain_pop);
    *table[10] = reinterpret_cast<Function>(keep);
    *table[12] = reinterpret_cast<Function>(domain_create);
  }
  return callbacks->functions(7, nullptr, nullptr) == 0 && callbacks->functions(0, nullptr, nullptr) == 0;
}

EXPORTED const char* fake_profiler_log() { return log_text.c_str(); }
