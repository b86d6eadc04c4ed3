#pragma once
#include <nanobind/nanobind.h>

namespace isofold::python {

/// Class Eager and the function _use_torch: isofold.torch's calls that skip PyTorch's dispatcher.
void bind_eager(nanobind::module_& m);

}  // namespace isofold::python
