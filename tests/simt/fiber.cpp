#include "simt/fiber.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <new>

// Callee-saved registers go to the stack that is left and come from the one that is entered. ucontext would
// make a system call at every switch.
extern "C" void isofold_simt_switch(void** save, void* next);

#if defined(__x86_64__)
asm(R"(
.text
.globl isofold_simt_switch
.hidden isofold_simt_switch
.type isofold_simt_switch, @function
isofold_simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size isofold_simt_switch, . - isofold_simt_switch
)");
namespace {
constexpr std::size_t frame_words =
    8;  // six registers, the entry, and its return address, which is never used
constexpr std::size_t entry_word = 6;
}  // namespace
#elif defined(__aarch64__)
asm(R"(
.text
.globl isofold_simt_switch
.hidden isofold_simt_switch
.type isofold_simt_switch, %function
isofold_simt_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size isofold_simt_switch, . - isofold_simt_switch
)");
namespace {
constexpr std::size_t frame_words = 20;
constexpr std::size_t entry_word = 11;
}  // namespace
#else
#error "fibers are written for x86-64 and AArch64"
#endif

namespace isofold::simt {
namespace {

constexpr std::size_t stacks_per_chunk = 256;
constexpr std::uint64_t mark = 0x57ac4e4d57ac4e4d;  // at the lowest address of every stack

}  // namespace

StackPool::~StackPool() {
  for (std::byte* chunk : chunks_) munmap(chunk, stacks_per_chunk * stack_bytes);
}

std::byte* StackPool::stack(std::size_t index) {
  while (chunks_.size() <= index / stacks_per_chunk) {
    void* chunk = mmap(nullptr, stacks_per_chunk * stack_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (chunk == MAP_FAILED) throw std::bad_alloc();
    chunks_.push_back(static_cast<std::byte*>(chunk));
    for (std::size_t i = 0; i < stacks_per_chunk; ++i)
      std::memcpy(chunks_.back() + i * stack_bytes, &mark, sizeof mark);
  }
  return chunks_[index / stacks_per_chunk] + index % stacks_per_chunk * stack_bytes;
}

bool StackPool::is_whole(std::size_t index) { return std::memcmp(stack(index), &mark, sizeof mark) == 0; }

Context make_context(std::byte* stack, void (*entry)()) {
  auto* frame = reinterpret_cast<void**>(stack + StackPool::stack_bytes) - frame_words;
  std::memset(frame, 0, frame_words * sizeof(void*));
  frame[entry_word] = reinterpret_cast<void*>(entry);
  return frame;
}

void switch_context(Context& save, Context next) { isofold_simt_switch(&save, next); }

}  // namespace isofold::simt
