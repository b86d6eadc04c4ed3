#include <isofold.h>

#include "objects.hpp"
#include "structures.hpp"

using namespace isofold;
using namespace isofold::c;

namespace isofold::c {
namespace {

constexpr std::size_t first_runtime_options = 88;  // up to `record`
static_assert(offsetof(isofold_runtime_options, nvtx) == first_runtime_options && sizeof(isofold_runtime_options) == 96);

std::optional<LogLevel> level_of(std::int32_t number) {
  if (number == ISOFOLD_LOG_DEFAULT) return std::nullopt;
  if (number < ISOFOLD_LOG_OFF || number > ISOFOLD_LOG_DEBUG)
    throw Failure(ISOFOLD_ERROR_ARGUMENT, "log_level is {}, allowed is ISOFOLD_LOG_DEFAULT (0) to ISOFOLD_LOG_DEBUG (5)", number);
  return static_cast<LogLevel>(number - ISOFOLD_LOG_OFF);
}

std::vector<std::string> texts(const char* const* given, std::size_t count, const char* name) {
  std::vector<std::string> read;
  for (std::size_t i = 0; i < count; ++i) {
    if (given == nullptr || given[i] == nullptr) throw Failure(ISOFOLD_ERROR_ARGUMENT, "options: {} is null, or one of the {}", name, count);
    read.emplace_back(given[i]);
  }
  return read;
}

RuntimeOptions read(const isofold_runtime_options* given) {
  RuntimeOptions options;
  if (given == nullptr) return options;
  const isofold_runtime_options o = read_structure(given, "options", first_runtime_options);
  constexpr std::uint32_t known = ISOFOLD_REQUIRE_BUNDLED | ISOFOLD_REQUIRE_TUNED;
  if ((o.require & ~known) != 0) throw Failure(ISOFOLD_ERROR_ARGUMENT, "options: require is {}, allowed are sums of ISOFOLD_REQUIRE_...", o.require);
  if (o.nvtx != 0 && o.nvtx != 1) throw Failure(ISOFOLD_ERROR_ARGUMENT, "options: nvtx is {}, allowed are 0 and 1", o.nvtx);
  if (o.reserved != 0) throw Failure(ISOFOLD_ERROR_ARGUMENT, "options: reserved is {}, it must be 0", o.reserved);
  options.require_bundled = (o.require & ISOFOLD_REQUIRE_BUNDLED) != 0;
  options.require_tuned = (o.require & ISOFOLD_REQUIRE_TUNED) != 0;
  options.record = text_or_empty(o.record);
  options.nvtx = o.nvtx != 0;
  options.device = text_or_empty(o.device);
  options.cache_folder = text_or_empty(o.cache_folder);
  options.tables = texts(o.tables, o.table_count, "tables");
  options.bundles = texts(o.bundles, o.bundle_count, "bundles");
  options.log_level = level_of(o.log_level);
  if (o.log != nullptr)
    options.log = [call = o.log, context = o.log_context](LogLevel level, std::string_view message) {
      call(context, static_cast<std::int32_t>(level) + ISOFOLD_LOG_OFF, std::string(message).c_str());
    };
  return options;
}

}  // namespace

Handles<Runtime>& runtimes() {
  static auto& table = make_handles<Runtime, runtimes>(1, "runtime");
  return table;
}

}  // namespace isofold::c

const char* isofold_version(void) { return isofold::version().data(); }

isofold_status isofold_runtime_create(const isofold_runtime_options* options, isofold_runtime** runtime) {
  return guarded([&] {
    *not_null(runtime, "runtime") = nullptr;
    *runtime = static_cast<isofold_runtime*>(runtimes().insert(std::make_unique<Runtime>(read(options))));
  });
}

isofold_status isofold_runtime_release(isofold_runtime* runtime) {
  return guarded([&] { runtimes().remove(runtime); });
}

isofold_status isofold_runtime_query(isofold_runtime* runtime, int32_t what, char* buffer, size_t capacity, size_t* needed) {
  return guarded([&] {
    const Runtime& found = runtimes().find(runtime);
    switch (what) {
      case ISOFOLD_RUNTIME_DEVICE: return copy_text(found.device_name(), buffer, capacity, needed);
      case ISOFOLD_RUNTIME_TRAITS: return copy_text(text(found.device()), buffer, capacity, needed);
      default: throw Failure(ISOFOLD_ERROR_ARGUMENT, "what is {}, allowed is 0 to {}", what, ISOFOLD_RUNTIME_TRAITS);
    }
  });
}
