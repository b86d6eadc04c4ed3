#pragma once
#include <isofold/export.hpp>

#include <stdexcept>
#include <string>

namespace ISOFOLD_API isofold {

/// Base of everything that Isofold throws.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The caller, or the machine the caller runs on, has to change something. The message says what was passed or
/// found, and what is allowed or needed.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// A defect of Isofold itself; the message asks for a report.
class InternalError : public Error {
 public:
  explicit InternalError(const std::string& what)
      : Error("isofold: internal error (this is a bug, please report it): " + what) {}
};

}  // namespace isofold
