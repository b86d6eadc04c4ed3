#include "command_line.hpp"

#include <isofold/isofold.hpp>
#include <sstream>

#include "command_parts.hpp"

namespace isofold::tools {
namespace {

constexpr const char* exit_codes =
    "Exit codes: 0 success; 1 a check failed (differing bits, errors above PyTorch's, a damaged cache\n"
    "entry); 2 wrong arguments, or something that this machine lacks; 3 a defect of Isofold; 130 stopped by\n"
    "Ctrl-C (files are whole).";

/// CLI11's help without the lists of what excludes what: beside --op they are longer than all else, and an error names the two.
class Help : public CLI::Formatter {
  std::string make_option_opts(const CLI::Option* option) const override {
    const std::string text = CLI::Formatter::make_option_opts(option);
    return text.substr(0, text.find(" Excludes:"));
  }
};

/// What is wrong in words, and where the help is.
std::string wrong_command_line(const CLI::App& app, const std::string& what) {
  std::string place = app.get_name();
  const CLI::App* last = &app;
  while (!last->get_subcommands().empty()) {
    last = last->get_subcommands().front();
    place += " " + last->get_name();
  }
  // A misspelt option or sub-command comes before what CLI11 misses because of it.
  const std::vector<std::string> unknown = app.remaining(true);
  if (unknown.empty()) return fmt::format("{} (see {} --help)", what, place);
  const std::string& first = unknown.front();
  if (first.starts_with('-')) return fmt::format("\"{}\" is no option here (see {} --help)", first, place);
  std::string names;
  for (const CLI::App* part : last->get_subcommands([](const CLI::App*) { return true; }))
    names += (names.empty() ? "" : ", ") + part->get_name();
  if (names.empty()) return fmt::format("\"{}\" is one word too many (see {} --help)", first, place);
  return fmt::format("\"{}\" is no sub-command; there are {} (see {} --help)", first, names, place);
}

}  // namespace

int run_command_line(int argc, char** argv, Console& console) {
  CLI::App app("Isofold: kernels with one reduction tree, every schedule, the same bits.", "isofold");
  app.set_version_flag("--version", "isofold " + std::string(version()));
  app.footer(exit_codes);
  app.require_subcommand(1);
  app.formatter(std::make_shared<Help>());
  const std::vector<Command> commands = {add_tune(app),   add_inspect(app), add_verify(app), add_accuracy(app), add_bench(app),
                                         add_chart(app),  add_explain(app), add_probe(app),  add_bundle(app), add_table(app), add_cache(app),
                                         add_doctor(app), add_completion(app), add_man(app)};
  const auto add_flags = [&](CLI::App& to) {
    to.add_flag("--json", console.json, "Write one JSON document to standard output and nothing else");
    to.add_flag("--quiet", console.quiet, "No progress and no remarks on standard error");
  };
  add_flags(app);  // before the sub-command as well as behind it
  for (const Command& command : commands) {
    add_flags(*command.app);
    command.app->footer(exit_codes);
    command.app->fallthrough();
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help_or_version) {
    std::ostringstream text;
    const int status = app.exit(help_or_version, text, text);
    Console::print(text.str());
    return status;
  } catch (const CLI::ParseError& error) {
    // A wrong command line leaves the flags of the right part unread, --json among them.
    for (int i = 1; i < argc; ++i) console.json |= std::string_view(argv[i]) == "--json";
    console.failure("usage", wrong_command_line(app, error.what()));
    return exit_usage;
  }
  for (const Command& command : commands)
    if (command.app->parsed()) return command.run(console);
  return exit_usage;
}

}  // namespace isofold::tools
