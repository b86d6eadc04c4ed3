#pragma once
#include <nanobind/nanobind.h>
#include <isofold/codegen/spec.hpp>

#include <cstdint>
#include <string>

namespace isofold::python {

/// The Spec of an operator of `named_operators()` over rows of n elements. `options` are the fields of its
/// options struct that Python names, as keywords. Throws UsageError for a name, an option or a value that is
/// not allowed and says what is; TypeError for a value of another type.
Spec named_spec(const std::string& name, std::int64_t n, const std::string& dtype,
                const nanobind::dict& options);

/// A dtype by Isofold's name ("bf16"), or by that of NumPy and PyTorch ("bfloat16", torch.bfloat16).
DType dtype_from(const std::string& name, const char* option);

}  // namespace isofold::python
