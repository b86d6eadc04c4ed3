#pragma once
#include <nanobind/nanobind.h>
#include <isofold/runtime.hpp>

namespace isofold::python {

/// Messages of the Runtime that is to be made go where isofold.log_to says. They are given inside C++, under locks that a thread
/// with the interpreter's lock may want; so they are kept until a thread that was in a call is back in Python, or the main thread
/// looks.
void use_messages(RuntimeOptions& options);

/// Gives kept messages to the function. The caller has the interpreter's lock. An exception of the function goes to sys.unraisablehook.
/// A thread that the interpreter ends meanwhile does not come back from here.
void deliver_messages() noexcept;

/// From now on messages are lines on standard error, whatever isofold.log_to is asked: the interpreter ends.
void end_messages() noexcept;

void bind_messages(nanobind::module_& m);

}  // namespace isofold::python
