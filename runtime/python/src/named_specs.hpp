#pragma once
#include <nanobind/nanobind.h>
#include <isofold/codegen/spec.hpp>

#include <cstdint>
#include <string>

namespace isofold::python {

/// The Spec that named_spec makes of options given as Python objects: True, False, numbers and names; dtypes also by the names
/// of NumPy and PyTorch ("bfloat16", torch.bfloat16). None is an option that was not given. Throws what named_spec throws;
/// TypeError for values of any other kind.
Spec spec_by_name(const std::string& op, std::int64_t n, nanobind::handle dtype, const nanobind::dict& options);

}  // namespace isofold::python
