#pragma once
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/interpreter.hpp>
#include <isofold/codegen/operators.hpp>

#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace isofold::testing {

using Bytes = std::vector<std::byte>;

inline Bytes bytes_of(const std::vector<float>& values) {
  Bytes bytes(4 * values.size());
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

inline Spec named_spec(std::string_view name, std::int64_t n, DType dtype) {
  for (const NamedOperator& named : named_operators())
    if (named.name == name) return named.make(n, dtype);
  throw std::logic_error("no such operator");
}

/// The oracle's outputs for dense rows.
inline std::vector<Bytes> interpreted(const Spec& spec, std::int64_t rows, const std::vector<Bytes>& inputs) {
  std::vector<ConstView> from;
  std::vector<View> to;
  for (std::size_t t = 0; t < inputs.size(); ++t)
    from.push_back({inputs[t].data(), row_elements(spec, spec.inputs[t].extent)});
  std::vector<Bytes> outputs;
  for (const Output& output : spec.outputs)
    outputs.emplace_back(static_cast<std::size_t>(rows * row_elements(spec, output.extent)) *
                         size_of(output.dtype));
  for (std::size_t o = 0; o < outputs.size(); ++o)
    to.push_back({outputs[o].data(), row_elements(spec, spec.outputs[o].extent)});
  interpret(spec, default_fold(spec), rows, from, to);
  return outputs;
}

}  // namespace isofold::testing
