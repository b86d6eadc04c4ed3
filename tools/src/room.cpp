#include "room.hpp"

#include <isofold/codegen/cost_model.hpp>
#include <isofold/error.hpp>

#include <unistd.h>

#include <fstream>
#include <limits>

#include "console.hpp"
#include "runtime_impl.hpp"

namespace isofold::tools {
namespace {

/// What new tensors can take on the host: pages that are free, and those that the system can free.
double available_host_memory() {
  std::ifstream lines("/proc/meminfo");
  for (std::string key; lines >> key; lines.ignore(std::numeric_limits<std::streamsize>::max(), '\n'))
    if (double kibibytes = 0; key == "MemAvailable:" && lines >> kibibytes) return 1024 * kibibytes;
  return static_cast<double>(sysconf(_SC_AVPHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

}  // namespace

std::int64_t most_rows(const Runtime& runtime, const Spec& spec) {
  const ContextPointer& context = runtime.impl()->context();
  const double memory = context ? static_cast<double>(context->free_memory()) : available_host_memory();
  const std::int64_t row = bytes_moved(spec, 2) - bytes_moved(spec, 1);
  if (row == 0) return std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(memory / 2 / static_cast<double>(row));
}

void check_oracle_room(const Spec& spec, std::int64_t rows) {
  const double bytes = static_cast<double>(bytes_moved(spec, rows)), free = available_host_memory();
  if (bytes > free / 2)
    throw UsageError(fmt::format("the oracle needs {} for {} rows of {} elements, and {} are free", byte_count(bytes), rows,
                                 spec.n, byte_count(free)));
}

void check_room(const Runtime& runtime, const Spec& spec, std::int64_t tokens) {
  const std::int64_t most = most_rows(runtime, spec);
  if (tokens > most)
    throw UsageError(
        fmt::format("--tokens: {} rows of {} elements do not fit, the device has room for about {}", tokens,
                    spec.n, most));
}

}  // namespace isofold::tools
