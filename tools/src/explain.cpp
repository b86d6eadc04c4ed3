#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "configuration.hpp"

namespace isofold::tools {

int run_explain(const Console& console, const ExplainArguments& options) {
  const Configuration a = parse_configuration(options.configurations.at(0)), b = parse_configuration(options.configurations.at(1));
  const Comparison comparison = compare(a, b);
  const std::string id_a = bits_id(a.spec, a.fold), id_b = bits_id(b.spec, b.fold);
  console.line("{} {}", comparison.same_bits ? console.good("✓") : console.bad("✗"), comparison.sentence);
  if (id_a == id_b)
    console.line("bits id {}", id_a);
  else
    console.line("bits ids {} and {}", id_a, id_b);
  console.document({{"same_bits", comparison.same_bits},
                    {"sentence", comparison.sentence},
                    {"differences", comparison.differences},
                    {"bits_ids", {id_a, id_b}}});
  return comparison.same_bits ? exit_ok : exit_check_failed;
}

}  // namespace isofold::tools
