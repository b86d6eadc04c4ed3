#include "named_form.hpp"

#include <isofold/error.hpp>

#include <optional>

namespace isofold::tools {
namespace {

Spec without_constants(Spec spec) {
  for (Node& node : spec.nodes)
    if (node.op == Op::constant) node.value = 0;
  return spec;
}

/// Nothing where the operator does not exist for the dtype.
std::optional<Spec> made_by(const NamedOperator& named, std::int64_t n, DType dtype) {
  try {
    return named.make(n, dtype);
  } catch (const UsageError&) {
    return std::nullopt;
  }
}

}  // namespace

const NamedOperator* named_form(const Spec& spec, Constants constants) {
  if (spec.inputs.empty()) return nullptr;
  for (const NamedOperator& named : named_operators()) {
    const std::optional<Spec> made = made_by(named, spec.n, spec.inputs[0].dtype);
    if (!made) continue;
    if (constants == Constants::compared ? *made == spec
                                         : without_constants(*made) == without_constants(spec))
      return &named;
  }
  return nullptr;
}

}  // namespace isofold::tools
