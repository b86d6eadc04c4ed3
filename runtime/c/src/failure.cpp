#include "failure.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace isofold::c {
namespace {

/// Of a thread each, and without a destructor, so that it can be read while a thread or the process ends.
constexpr std::size_t longest_message = 4000;
thread_local char last_error[longest_message + 1];

}  // namespace

isofold_status failed(isofold_status status, std::string_view message) noexcept {
  const std::size_t size = std::min(message.size(), longest_message);
  std::memcpy(last_error, message.data(), size);
  last_error[size] = '\0';
  return status;
}

}  // namespace isofold::c

using namespace isofold::c;

const char* isofold_last_error(void) { return last_error; }

const char* isofold_status_name(isofold_status status) {
  switch (status) {
    case ISOFOLD_OK: return "ISOFOLD_OK";
    case ISOFOLD_ERROR_USAGE: return "ISOFOLD_ERROR_USAGE";
    case ISOFOLD_ERROR_ARGUMENT: return "ISOFOLD_ERROR_ARGUMENT";
    case ISOFOLD_ERROR_HANDLE: return "ISOFOLD_ERROR_HANDLE";
    case ISOFOLD_ERROR_BUFFER: return "ISOFOLD_ERROR_BUFFER";
    case ISOFOLD_ERROR_MEMORY: return "ISOFOLD_ERROR_MEMORY";
    case ISOFOLD_ERROR_FORK: return "ISOFOLD_ERROR_FORK";
    case ISOFOLD_ERROR_INTERNAL: return "ISOFOLD_ERROR_INTERNAL";
    default: return "unknown status";
  }
}
