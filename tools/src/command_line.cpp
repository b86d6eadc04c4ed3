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

/// What is wrong in words, and where the help is.
std::string wrong_command_line(const std::vector<Command>& commands, int argc, char** argv,
                               const std::string& what) {
  std::string place = "isofold", names;
  for (const Command& command : commands) {
    if (command.app->parsed()) place += " " + command.app->get_name();
    names += (names.empty() ? "" : ", ") + command.app->get_name();
  }
  if (place == "isofold" && argc > 1 && argv[1][0] != '-')
    return fmt::format("\"{}\" is no sub-command; there are {} (see isofold --help)", argv[1], names);
  return fmt::format("{} (see {} --help)", what, place);
}

}  // namespace

int run_command_line(int argc, char** argv, Console& console) {
  CLI::App app("Isofold: kernels with one reduction tree, every schedule, the same bits.", "isofold");
  app.set_version_flag("--version", "isofold " + std::string(version()));
  app.footer(exit_codes);
  app.require_subcommand(1);
  const std::vector<Command> commands = {add_tune(app),   add_inspect(app), add_verify(app), add_accuracy(app), add_bench(app),
                                         add_chart(app),  add_explain(app), add_probe(app),  add_bundle(app), add_table(app), add_cache(app),
                                         add_doctor(app), add_completion(app), add_man(app)};
  for (const Command& command : commands) {
    command.app->add_flag("--json", console.json,
                          "Write one JSON document to standard output and nothing else");
    command.app->add_flag("--quiet", console.quiet, "No progress and no remarks on standard error");
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
    console.failure("usage", wrong_command_line(commands, argc, argv, error.what()));
    return exit_usage;
  }
  for (const Command& command : commands)
    if (command.app->parsed()) return command.run(console);
  return exit_usage;
}

}  // namespace isofold::tools
