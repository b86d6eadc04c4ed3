#include <isofold/codegen/dtype.hpp>
#include <isofold/codegen/operators.hpp>

#include <nlohmann/json.hpp>

#include <sstream>

#include "command_parts.hpp"
#include "reference.hpp"
#include "settings.hpp"

namespace isofold::tools {
namespace {

/// The values of "{plan,tree}", as CLI11 describes a set of them; nothing for other descriptions.
std::vector<std::string> values_in_braces(const std::string& description) {
  std::vector<std::string> values;
  if (!description.starts_with('{') || !description.ends_with('}')) return values;
  std::istringstream text(description.substr(1, description.size() - 2));
  for (std::string value; std::getline(text, value, ',');) values.push_back(value);
  return values;
}

std::vector<std::string> choices_of(CLI::Option& option, const std::string& value) {
  for (int i = 0;; ++i) {
    std::string description;
    try {
      description = option.get_validator(i)->get_description();
    } catch (const CLI::OptionNotFound&) {
      break;
    }
    if (std::vector<std::string> values = values_in_braces(description); !values.empty()) return values;
  }
  std::vector<std::string> values;
  if (value == "DTYPE")
    for (const DType dtype : all_dtypes)
      if (dtype != DType::i32) values.emplace_back(name_of(dtype));
  if (option.check_lname("op"))
    for (const NamedOperator& named : named_operators()) values.emplace_back(named.name);
  if (option.check_lname("quantized-dtype")) values = {"e4m3", "i8"};
  if (option.check_lname("weight-mode")) values = {"f32", "after_cast"};
  if (option.check_lname("residual-mode")) values = {"f32_sum", "rounded_sum"};
  if (value == "DEVICE") values = {"auto", "cpu", "cuda:0"};
  return values;
}

CommandReference describe_command(CLI::App& app) {
  CommandReference command{.name = app.get_name(), .meaning = app.get_description(), .options = {}, .parts = {}};
  for (CLI::Option* option : app.get_options()) {
    OptionReference made;
    for (const std::string& name : option->get_snames()) made.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) made.names.push_back("--" + name);
    if (option->get_items_expected_max() > 0) made.value = option->get_positional() ? option->get_name() : option->get_type_name();
    made.value = made.value.substr(0, made.value.find(':'));  // a range stands behind it
    made.value_optional = !made.value.empty() && option->get_items_expected_min() == 0;
    made.meaning = option->get_description();
    if (option->get_group() == "Operator") made.group = "Operator";
    made.choices = choices_of(*option, made.value);
    made.is_file = made.value == "FILE" || made.value == "FILES" || made.value == "PREFIX" || made.value == "FOLDER";
    command.options.push_back(std::move(made));
  }
  for (CLI::App* part : app.get_subcommands([](CLI::App*) { return true; })) command.parts.push_back(describe_command(*part));
  return command;
}

/// What a command line declares, with the environment and the values that are known of its kinds of arguments.
Reference describe(CLI::App& app) {
  Reference reference{.command = describe_command(app), .environment = {}, .exit_codes = app.get_footer()};
  const std::string title = "Exit codes: ";
  if (reference.exit_codes.starts_with(title)) reference.exit_codes.erase(0, title.size());
  for (const SettingLine& line : isofold::describe(Settings{})) reference.environment.push_back({line.variable, line.meaning});
  return reference;
}

int write_text(const Console& console, const std::string& text) {
  console.raw(text);
  console.document(Json{{"text", text}});
  return exit_ok;
}

}  // namespace

Command add_completion(CLI::App& parent) {
  auto shell = std::make_shared<std::string>();
  CLI::App* app = parent.add_subcommand("completion", "Write what a shell reads to complete the words of this command");
  app->add_option("SHELL", *shell, "bash, zsh or fish")->check(CLI::IsMember({"bash", "zsh", "fish"}))->required();
  return {app, [&parent, shell](const Console& console) {
            const Reference reference = describe(parent);
            return write_text(console, *shell == "bash"  ? bash_completion(reference)
                                       : *shell == "zsh" ? zsh_completion(reference)
                                                         : fish_completion(reference));
          }};
}

Command add_man(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("man", "Write the manual page: isofold man | man -l -");
  return {app, [&parent](const Console& console) { return write_text(console, man_page(describe(parent))); }};
}

}  // namespace isofold::tools
