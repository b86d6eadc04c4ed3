#pragma once
#include <isofold/codegen/operators.hpp>

namespace isofold::tools {

/// Does another number among a Spec's constants, such as another eps, make it another operator?
enum class Constants { compared, ignored };

/// The operator of `named_operators()` that the Spec is, as it is by default; nullptr when it is a variant of
/// one or none.
const NamedOperator* named_form(const Spec& spec, Constants constants);

}  // namespace isofold::tools
