#include "command_parts.hpp"

namespace isofold::tools {
namespace {

/// A sub-command of a command whose arguments have an `action`.
template <class Arguments>
CLI::App& add_part(const Command& command, const std::shared_ptr<Arguments>& arguments, const char* name,
                   typename Arguments::Action action, const char* meaning) {
  CLI::App* part = command.app->add_subcommand(name, meaning);
  part->fallthrough();
  part->parse_complete_callback([arguments, action] { arguments->action = action; });
  return *part;
}

}  // namespace

Command add_bundle(CLI::App& parent) {
  auto a = std::make_shared<BundleArguments>();
  Command command = add_command(parent, "bundle", "Build kernels ahead of time into one file, for machines that compile nothing",
                                a, run_bundle);
  CLI::App& app = *command.app;
  add_operator(app, a->op);
  app.add_option("--device", a->devices,
                 "What to build for, or several: auto (default), cpu, cuda:<n>, and with no device present sm_80, sm_90, ..., "
                 "x86-64, avx2, avx512, aarch64")
      ->delimiter(',')
      ->type_name("DEVICE");
  add_text(app, "--tokens", a->tokens, "COUNTS", "Token counts that will be launched (default 1..4096)");
  add_text(app, "--alignment", a->alignment, "BYTES",
           "Every pointer and row stride is a multiple of this; better alignments are built too (default 16)");
  CLI::Option* list = app.add_option("--list", a->list,
                                     "Operators from a file, one a line, written as here: --op rms_norm -n 4096,8192 --dtype "
                                     "bf16 --tokens 1..256 --device sm_90; # begins a remark")
                          ->type_name("FILE");
  CLI::Option* from = app.add_option("--from", a->from, "Operators and token counts of a record of launches (ISOFOLD_RECORD)")
                          ->type_name("FILE")
                          ->excludes(list);
  add_text(app, "--output", a->output, "FILE", "The bundle (default isofold.bundle)");
  CLI::Option* check =
      app.add_option("--check", a->check, "Read a bundle, check all of it and say what it has; build nothing")
          ->type_name("FILE");
  for (CLI::Option* option : app.get_options()) {
    if (option->get_group() == "Operator") option->excludes(list)->excludes(from);
    if (option != check && option != app.get_help_ptr()) option->excludes(check);
  }
  return command;
}

Command add_table(CLI::App& parent) {
  using Action = TableArguments::Action;
  auto a = std::make_shared<TableArguments>();
  Command command = add_command(parent, "table", "Look into tuning tables, and merge those of several machines", a, run_table);
  command.app->require_subcommand(1);
  const auto part = [&](const char* name, Action action, const char* meaning) -> CLI::App& {
    CLI::App& made = add_part(command, a, name, action, meaning);
    made.add_option("files", a->files, "Tables, or folders of *.jsonl")->required()->type_name("FILE");
    return made;
  };
  part("list", Action::list, "Every record: operator, fold, device, ranges");
  CLI::App& merge = part("merge", Action::merge,
                         "One table of several: of records of one operator, fold and device a later file's wins where it was "
                         "measured");
  merge.add_option("--output", a->output, "The table that is written; it may be one of the files")
      ->required()
      ->type_name("FILE");
  return command;
}

Command add_cache(CLI::App& parent) {
  using Action = CacheArguments::Action;
  auto a = std::make_shared<CacheArguments>();
  Command command = add_command(parent, "cache", "Look after the compiled kernels on disk", a, run_cache);
  command.app->require_subcommand(1);
  add_part(command, a, "list", Action::list, "Every entry: digest, kind, size, last use");
  add_part(command, a, "verify", Action::verify, "Check every entry; exit code 1 when one is damaged");
  CLI::App& prune = add_part(command, a, "prune", Action::prune, "Remove damaged entries, and those over the limits given");
  add_part(command, a, "clear", Action::clear, "Remove every entry");
  add_text(prune, "--max-size", a->max_size, "SIZE",
           "Remove the longest unused until the rest fits: 500M, 2G");
  add_text(prune, "--unused-for", a->unused_for, "TIME", "Remove what was not used for so long: 30d, 12h");
  return command;
}

}  // namespace isofold::tools
