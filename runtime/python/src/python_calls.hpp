#pragma once
#include <nanobind/nanobind.h>

namespace isofold::python {

/// Other Python threads run for as long as it lives. Once the interpreter begins to shut down, threads other
/// than the one that does so do not come back from here: CPython would end them in the middle of C++ frames,
/// which ends the process.
class WithoutGil {
 public:
  WithoutGil();
  ~WithoutGil();
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* state_;
};

/// For Python's atexit: waits for the calls that are inside C++.
void finish_calls();

/// Forks between the first process and this one.
int process_generation();

}  // namespace isofold::python
