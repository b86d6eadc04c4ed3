#pragma once

namespace isofold {

/// Counts the forks between this process and the one that asked first: what was made under another number belongs to a
/// parent process, whose threads and whose CUDA driver are not here. Costs one load.
int process_generation();

}  // namespace isofold
