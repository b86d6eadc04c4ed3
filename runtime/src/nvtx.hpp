#pragma once
#include <cstdint>
#include <string>

#include "log.hpp"

namespace isofold {

/// Ranges for a profiler, in the domain "isofold", through the interface by which NVTX 3 finds it: the environment variable
/// NVTX_INJECTION64_PATH, which Nsight Systems and Nsight Compute set, names a library that fills in a table of functions.
/// NVTX itself is a header that does this and no more; it is not needed. Thread-safe.
class Nvtx {
 public:
  /// The profiler of this process, found once; null when there is none, with a word to `log` (debug: not looked for;
  /// warning: a library that cannot be used).
  static const Nvtx* of_process(Log& log);

  /// A message that is shown often, told to the profiler once.
  void* registered(const std::string& message) const { return register_string_(domain_, message.c_str()); }
  /// Begins a range of this thread that is shown with a number.
  void push(void* registered_message, std::int64_t number) const;
  void push(const char* message, std::int64_t number) const;
  void pop() const { range_pop_(domain_); }

 private:
  struct Attributes;
  static const Nvtx* open(Log& log);
  void push(Attributes& attributes, std::int64_t number) const;

  void* domain_ = nullptr;
  int (*range_push_)(void* domain, const Attributes* attributes) = nullptr;
  int (*range_pop_)(void* domain) = nullptr;
  void* (*register_string_)(void* domain, const char* text) = nullptr;
};

/// A range for as long as the object lives; nothing without a profiler.
class NvtxRange {
 public:
  NvtxRange(const Nvtx* nvtx, void* registered_message, std::int64_t number) : nvtx_(nvtx) {
    if (nvtx_ != nullptr) [[unlikely]]
      nvtx_->push(registered_message, number);
  }
  NvtxRange(const Nvtx* nvtx, const std::string& message, std::int64_t number) : nvtx_(nvtx) {
    if (nvtx_ != nullptr) [[unlikely]]
      nvtx_->push(message.c_str(), number);
  }
  NvtxRange(const NvtxRange&) = delete;
  NvtxRange& operator=(const NvtxRange&) = delete;
  ~NvtxRange() {
    if (nvtx_ != nullptr) [[unlikely]]
      nvtx_->pop();
  }

 private:
  const Nvtx* nvtx_;
};

}  // namespace isofold
