#include "output_hashes.hpp"

#include <isofold/codegen/operators.hpp>

#include <doctest/doctest.h>

#include <algorithm>

#include "named_form.hpp"

using namespace isofold;
using namespace isofold::tools;

TEST_CASE("the hashes that every device must find have each named operator") {
  const std::vector<OutputHashes> records = read_hashes(ISOFOLD_HASHES);
  for (const NamedOperator& named : named_operators()) {
    CAPTURE(named.name);
    CHECK(std::any_of(records.begin(), records.end(), [&](const OutputHashes& record) {
      return named_form(record.problem.spec, Constants::compared) == &named;
    }));
  }
}
