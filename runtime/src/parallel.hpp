#pragma once
#include <cstddef>
#include <functional>

namespace isofold {

/// Calls work(0) ... work(count - 1), side by side on one thread for each CPU the process may use (fewer
/// when the system gives fewer), and returns when all have ended. After the first exception no further item
/// is begun; it is thrown again here.
void for_each_parallel(std::size_t count, const std::function<void(std::size_t)>& work);

}  // namespace isofold
