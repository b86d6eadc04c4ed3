#pragma once
#include <isofold.h>

#include <cxxabi.h>
#include <fmt/format.h>

#include <exception>
#include <isofold/error.hpp>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace isofold::c {

/// A failure with a status of its own.
class Failure : public Error {
 public:
  template <class... Args>
  explicit Failure(isofold_status status, fmt::format_string<Args...> format, Args&&... args)
      : Error(fmt::format(format, std::forward<Args>(args)...)), status_(status) {}
  isofold_status status() const { return status_; }

 private:
  isofold_status status_;
};

/// Keeps the message as this thread's last error; returns `status`. Does not allocate.
isofold_status failed(isofold_status status, std::string_view message) noexcept;

/// Runs `body`, which returns nothing; what it throws becomes a status and the last error. This is where every exception ends.
template <class Body>
isofold_status guarded(const Body& body) {
  try {
    body();
    return ISOFOLD_OK;
  } catch (const Failure& failure) {
    return failed(failure.status(), failure.what());
  } catch (const UsageError& error) {
    return failed(ISOFOLD_ERROR_USAGE, error.what());
  } catch (const std::bad_alloc&) {
    return failed(ISOFOLD_ERROR_MEMORY, "there is not enough memory");
  } catch (const std::exception& error) {
    return failed(ISOFOLD_ERROR_INTERNAL, error.what());
  } catch (const abi::__forced_unwind&) {
    throw;  // the thread is being cancelled: whoever swallows this ends the process
  } catch (...) {
    return failed(ISOFOLD_ERROR_INTERNAL, "isofold: something was thrown that is no error (this is a bug, please report it)");
  }
}

template <class Pointer>
Pointer* not_null(Pointer* pointer, const char* name) {
  if (pointer == nullptr) throw Failure(ISOFOLD_ERROR_ARGUMENT, "{} is null", name);
  return pointer;
}

}  // namespace isofold::c
