#pragma once
#include <string>
#include <string_view>

namespace isofold::simt {

/// Generated CUDA text as host C++ that needs only host_helpers.hpp: the bodies of helper functions that hold
/// PTX call the host helper of the same name, and shared arrays are asked of the scheduler. Everything else
/// stays as it is, line by line. Throws std::runtime_error when PTX or a shared array remains, or a helper
/// has no host form.
std::string host_text(std::string_view cuda);

/// What of host_text() makes a difference when it runs: texts that agree in this do the same on the host, step by step. Left out
/// are comments, white space, the number of resident blocks (which is only asserted to be one), and the calls of dependent launch:
/// on the host they do nothing but let a plan that needs them touch memory.
std::string host_program(std::string_view cuda);

}  // namespace isofold::simt
