#pragma once
#include <isofold/export.hpp>

namespace ISOFOLD_API isofold {

/// CPUs that this process may run on (its affinity), at least 1.
int usable_cpus();

}  // namespace isofold
