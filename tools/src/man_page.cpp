#include <fmt/format.h>

#include <algorithm>
#include <isofold/runtime.hpp>
#include <string_view>

#include "reference.hpp"

namespace isofold::tools {
namespace {

/// Text as troff prints it: backslashes and hyphens stand for themselves, and no line is a request.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if (c == '\n')
      out += ' ';
    else
      out += c;
  }
  if (out.starts_with('.') || out.starts_with('\'')) out.insert(0, "\\&");
  return out;
}

std::string heading_of(const OptionReference& option) {
  std::string names;
  for (const std::string& name : option.names) names += fmt::format("{}\\fB{}\\fR", names.empty() ? "" : ", ", escaped(name));
  if (option.value.empty()) return names;
  const std::string value = fmt::format("\\fI{}\\fR", escaped(option.value));
  return fmt::format("{}{}{}", names, names.empty() ? "" : " ", option.value_optional ? "[" + value + "]" : value);
}

void add_options(std::string& page, const std::vector<OptionReference>& options, std::string_view group) {
  for (const OptionReference& option : options)
    if (option.group == group) page += fmt::format(".TP\n{}\n{}\n", heading_of(option), escaped(option.meaning));
}

void add_command(std::string& page, const CommandReference& command, const std::string& before) {
  const std::string name = before + command.name;
  std::string arguments;
  for (const OptionReference& option : command.options)
    if (option.names.empty()) arguments += fmt::format(" \\fI{}\\fR", escaped(option.value));
  const bool of_operators =
      std::any_of(command.options.begin(), command.options.end(), [](const auto& option) { return option.group == "Operator"; });
  page += fmt::format(".SS \"isofold {}\"\n\\fBisofold {}\\fR{}{}{}\n.PP\n{}.\n", escaped(name), escaped(name),
                      of_operators ? " [\\fIoperator options\\fR]" : "", " [\\fIoptions\\fR]", arguments, escaped(command.meaning));
  add_options(page, command.options, "");
  for (const CommandReference& part : command.parts) add_command(page, part, name + " ");
}

}  // namespace

std::string man_page(const Reference& reference) {
  const CommandReference& root = reference.command;
  std::string page = fmt::format(".TH ISOFOLD 1 \"\" \"isofold {0}\" \"Isofold\"\n.SH NAME\nisofold \\- {1}\n", version(),
                                 escaped("batch-invariant row reductions: tune, inspect, verify, measure"));
  page += ".SH SYNOPSIS\n\\fBisofold\\fR \\fIcommand\\fR [\\fIoptions\\fR]\n";
  page += fmt::format(".SH DESCRIPTION\n{}\n", escaped(root.meaning));
  add_options(page, root.options, "");
  page += ".SH COMMANDS\n";
  for (const CommandReference& command : root.parts) add_command(page, command, "");
  for (const CommandReference& command : root.parts) {
    std::string options;
    add_options(options, command.options, "Operator");
    if (options.empty()) continue;
    page += ".SH OPERATOR OPTIONS\nWhat is computed; the same for every command that takes them.\n" + options;
    break;
  }
  page += ".SH EXIT STATUS\n" + escaped(reference.exit_codes) + "\n.SH ENVIRONMENT\n";
  for (const VariableReference& variable : reference.environment)
    page += fmt::format(".TP\n\\fB{}\\fR\n{}\n", escaped(variable.name), escaped(variable.meaning));
  return page;
}

}  // namespace isofold::tools
