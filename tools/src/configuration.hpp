#pragma once
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/schedule.hpp>
#include <isofold/codegen/spec.hpp>

#include <optional>
#include <string>
#include <vector>

namespace isofold::tools {

/// What a kernel is made from, as far as it was said.
struct Configuration {
  Spec spec;
  Fold fold;
  std::optional<Schedule> schedule;
  std::string target;  // "sm_90"; empty: not said
};

/// An operator as on the command line without --op ("rms_norm -n 4096 --dtype bf16"), a Spec's text with or without
/// " | <fold> | <schedule> | <target>" behind it (the text of a Plan), or a file that holds a generated kernel. UsageError for
/// anything else.
Configuration parse_configuration(const std::string& text);

/// Do two configurations have the same output bits for every input?
struct Comparison {
  bool same_bits = false;
  std::string sentence;
  std::vector<std::string> differences;  // "fold.lanes: 32 and 64", those that can change a bit first
};
Comparison compare(const Configuration& a, const Configuration& b);

}  // namespace isofold::tools
