#include "operator_line.hpp"

#include <fmt/format.h>

#include <isofold/error.hpp>

#include "command_parts.hpp"

namespace isofold::tools {

OperatorLine parse_operator_line(const std::string& line) {
  OperatorLine parsed;
  CLI::App app("an operator", "operator");
  app.set_help_flag();
  add_operator(app, parsed.op);
  add_text(app, "--tokens", parsed.tokens, "COUNTS", "");
  add_text(app, "--device", parsed.device, "DEVICE", "");
  try {
    app.parse(line);
  } catch (const CLI::ParseError& error) {
    const std::vector<std::string> unknown = app.remaining();
    throw UsageError(fmt::format("\"{}\" is no operator: {} (written as on the command line: --op rms_norm -n 4096)", line,
                                 unknown.empty() ? error.what() : fmt::format("\"{}\" is not known here", unknown.front())));
  }
  return parsed;
}

}  // namespace isofold::tools
