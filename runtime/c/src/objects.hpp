#pragma once
#include <isofold/runtime.hpp>

#include <pthread.h>

#include <string>
#include <vector>

#include "handles.hpp"

namespace isofold::c {

/// What launches and descriptions need to know of a tensor.
struct TensorFacts {
  std::string name, dtype, extent;
  Extent kind;
  std::int64_t row_elements;
  std::int64_t groups;
  std::size_t element_bytes;
};

/// An Operator with what the Spec says of its tensors.
struct OperatorObject {
  explicit OperatorObject(Operator made);

  Operator op;
  std::vector<TensorFacts> inputs, outputs;
};

/// A table for ever, which forks keep whole.
template <class Object, Handles<Object>& (*table)()>
Handles<Object>& make_handles(unsigned kind, const char* what) {
  auto& made = *new Handles<Object>(kind, what);
  pthread_atfork([] { table().lock(); }, [] { table().unlock(); }, [] { table().unlock(); });
  return made;
}

Handles<Runtime>& runtimes();
Handles<OperatorObject>& operators();

}  // namespace isofold::c
