#pragma once
#include <string>
#include <string_view>

namespace isofold::simt {

/// Generated CUDA text as host C++ that needs only host_helpers.hpp: the bodies of helper functions that hold
/// PTX call the host helper of the same name, and shared arrays are asked of the scheduler. Everything else
/// stays as it is, line by line. Throws std::runtime_error when PTX or a shared array remains, or a helper
/// has no host form.
std::string host_text(std::string_view cuda);

}  // namespace isofold::simt
