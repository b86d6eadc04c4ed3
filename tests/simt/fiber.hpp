#pragma once
#include <cstddef>
#include <vector>

namespace isofold::simt {

/// Stacks for fibers, kept and used again.
class StackPool {
 public:
  StackPool() = default;
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;
  ~StackPool();

  static constexpr std::size_t stack_bytes = 128 * 1024;

  /// Lowest byte of stack `index`.
  std::byte* stack(std::size_t index);
  /// False when a fiber has used more than its stack.
  bool is_whole(std::size_t index);

 private:
  std::vector<std::byte*> chunks_;
};

/// A saved place of execution.
using Context = void*;

/// A context that starts `entry` on an empty stack; `entry` never returns.
Context make_context(std::byte* stack, void (*entry)());

/// Saves the running context in `save` and goes on with `next`.
void switch_context(Context& save, Context next);

}  // namespace isofold::simt
