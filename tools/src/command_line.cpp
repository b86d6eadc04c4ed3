#include "command_line.hpp"

#include <CLI/CLI.hpp>
#include <charconv>
#include <functional>
#include <isofold/isofold.hpp>
#include <memory>
#include <sstream>

#include "commands.hpp"

// The only source that knows of CLI11.

namespace isofold::tools {
namespace {

constexpr const char* exit_codes =
    "Exit codes: 0 success; 1 a check failed (differing bits, errors above PyTorch's, a damaged cache\n"
    "entry); 2 wrong arguments, or something that this machine lacks; 3 a defect of Isofold; 130 stopped by\n"
    "Ctrl-C (files are whole).";

constexpr const char* device_kinds = "auto (default: the first GPU, else the CPU), cpu or cuda:<n>";

struct Command {
  CLI::App* app = nullptr;
  std::function<int(const Console&)> run;
};

/// A sub-command whose arguments are an `Arguments`, handed to `run`.
template <class Arguments>
Command add_command(CLI::App& parent, const char* name, const char* meaning,
                    std::shared_ptr<Arguments> arguments, int (*run)(const Console&, const Arguments&)) {
  return {parent.add_subcommand(name, meaning),
          [arguments, run](const Console& console) { return run(console, *arguments); }};
}

void add_text(CLI::App& app, const char* names, std::string& value, const char* type, const char* meaning) {
  app.add_option(names, value, meaning)->type_name(type);
}

void add_choice(CLI::App& app, const char* names, std::string& value, std::vector<std::string> choices,
                const char* meaning) {
  app.add_option(names, value, meaning)->check(CLI::IsMember(std::move(choices)))->type_name("WHAT");
}

/// Says what is allowed, which CLI11's own range leaves out for text that is no number.
struct Seconds : CLI::Validator {
  Seconds() {
    func_ = [](std::string& text) {
      double value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      const bool number = !text.empty() && error == std::errc() && end == text.data() + text.size();
      if (number && value >= 0.1 && value <= 86400) return std::string();
      return fmt::format("\"{}\"; allowed is a number from 0.1 to 86400", text);
    };
  }
};

void add_seconds(CLI::App& app, double& value, const char* meaning) {
  app.add_option("--seconds", value, meaning)->check(Seconds())->type_name("SECONDS");
}

std::string named_list() {
  std::string names;
  for (const NamedOperator& named : named_operators())
    names += fmt::format("{}{}{}", names.empty() ? "" : ", ", named.name, named.name == "add_rms_norm" ? " (default)" : "");
  return names;
}

void add_operator(CLI::App& app, OperatorOptions& op) {
  std::vector<CLI::Option*> all;
  const auto option = [&](const char* names, auto& value, const char* type, const char* meaning) {
    // An empty value is a variable that was not set, not a wish for the default.
    const auto given = [](const std::string& text) { return std::string(text.empty() ? "the value is empty" : ""); };
    all.push_back(app.add_option(names, value, meaning)->type_name(type)->group("Operator")->check(CLI::Validator(given, "")));
    return all.back();
  };
  const auto flag = [&](const char* names, bool& value, const char* meaning) {
    all.push_back(app.add_flag(names, value, meaning)->group("Operator"));
  };
  option("--op", op.op, "NAME",
         named_list().c_str());
  option("-n,--n", op.n, "N", "Row length, or several: 4096,8192 (default 8192)")->delimiter(',');
  option("--dtype", op.dtype, "DTYPE", "Of x: f32, bf16 (default), f16, e4m3, i8; f64 for row reductions");
  option("--weight-dtype", op.weight_dtype, "DTYPE", "Of the weight and the bias (default: x's)");
  option("--residual-dtype", op.residual_dtype, "DTYPE", "Of residual and residual_out (default: x's)");
  option("--output-dtype", op.output_dtype, "DTYPE", "Of y (default: x's)");
  option("--weight-mode", op.weight_mode, "MODE",
         "Multiply by the weight in f32 (default) or after_cast to y's dtype");
  option("--residual-mode", op.residual_mode, "MODE",
         "Normalise the f32_sum (default) or the rounded_sum as it is stored");
  flag("--no-weight", op.no_weight, "Do not multiply by a weight");
  flag("--no-bias", op.no_bias, "layer_norm: do not add a bias");
  flag("--weight-offset-one", op.weight_offset_one, "rms_norm: multiply by 1 + weight, as Gemma does");
  option("--eps", op.eps, "EPS", "Added to the mean square (default 1e-6) or the variance (1e-5)");
  option("--groups", op.groups, "COUNT", "Norms: rows of COUNT * N elements are normalised in pieces of N");
  flag("--shared-weight", op.shared_weight, "Norms: one weight of N elements for all groups");
  option("--scale", op.scale, "NUMBER", "Softmax: x is multiplied by it (default 1)");
  flag("--temperature", op.temperature, "Softmax: divided by a number per token");
  const std::vector<CLI::Option*> parts = all;
  CLI::Option* spec =
      option("--spec", op.spec, "TEXT", "Any Spec in its one-line text form, instead of the above");
  for (CLI::Option* part : parts) spec->excludes(part);
  option("--fold", op.fold, "TEXT", "Another reduction tree, for example \"leaf=8 lanes=32 segments=16\"");
  app.parse_complete_callback([&op, all] {
    for (const CLI::Option* given : all) op.given = op.given || given->count() > 0;
  });
}

Command add_tune(CLI::App& parent) {
  auto a = std::make_shared<TuneArguments>();
  Command command =
      add_command(parent, "tune", "Measure the schedules on this device and keep the fastest per token count",
                  a, run_tune);
  CLI::App& app = *command.app;
  add_operator(app, a->op);
  add_text(app, "--device", a->device, "DEVICE", device_kinds);
  add_text(app, "--tokens", a->tokens, "COUNTS",
           "Token counts, such as 1,8,32 or 1..64 or 1..4096x2 (default "
           "1,8,32,128,256,512,1024,2048,4096)");
  add_seconds(app, a->seconds, "Budget of the measurement of one operator (default 20)");
  app.add_option("--max-candidates", a->max_candidates,
                 "Schedules to try per token count, in the cost model's order (default 0: all)")
      ->check(CLI::Range(0, 100000))
      ->type_name("COUNT");
  app.add_flag(
      "--folds", a->folds,
      "Measure other folds too, and print the price of invariance: best of this fold / best of any fold");
  add_text(app, "--output", a->output, "FILE",
           "Table to add to (default: your own, which is read from then on)");
  return command;
}

Command add_inspect(CLI::App& parent) {
  auto a = std::make_shared<InspectArguments>();
  Command command = add_command(parent, "inspect", "Show what is generated, and what an operator would run",
                                a, run_inspect);
  CLI::App& app = *command.app;
  add_operator(app, a->op);
  add_text(app, "--device", a->device, "DEVICE",
           "auto (default), cpu, cuda:<n>; with no device present sm_80, sm_90, sm_100, ..., x86-64, avx2, "
           "avx512, aarch64");
  add_choice(app, "--show", a->show,
             {"plan", "tree", "candidates", "source", "usage", "ptx", "sass", "llvm", "asm"},
             "plan (default), tree, candidates, source, usage; on a GPU ptx, sass; on the CPU llvm, asm");
  add_text(app, "--tokens", a->tokens, "COUNT", "Token count that the schedule is chosen for (default 1)");
  add_text(app, "--alignment", a->alignment, "BYTES",
           "Bytes that every pointer and row stride is a multiple of (default 16)");
  add_text(app, "--schedule", a->schedule, "TEXT", "This schedule instead, in its text form");
  return command;
}

Command add_verify(CLI::App& parent) {
  auto a = std::make_shared<VerifyArguments>();
  Command command =
      add_command(parent, "verify", "Compare the bits of launches with the oracle's", a, run_verify);
  CLI::App& app = *command.app;
  add_operator(app, a->op);
  app.add_option("--device", a->devices, "auto (default), cpu, cuda:<n>, or several: cuda:0,cpu")
      ->delimiter(',')
      ->type_name("DEVICE");
  add_text(app, "--tokens", a->tokens, "COUNTS",
           "Token counts, for example 1,8,32 or 1..1024 (default); both sides of every boundary are added");
  CLI::Option* all = app.add_flag("--all-schedules", a->all_schedules,
                                  "Every candidate schedule too, for every width of access");
  app.add_option("--schedule", a->schedule, "This schedule alone, in its text form")
      ->type_name("TEXT")
      ->excludes(all);
  add_text(app, "--seed", a->seed, "NUMBER", "Of positions and neighbours (default 1)");
  add_text(app, "--hashes", a->hashes, "FILE",
           "Compare with the output hashes of this file, which another device may have written; with no "
           "operator given: "
           "all of them, and nothing else");
  add_text(app, "--write-hashes", a->write_hashes, "FILE", "Add the output hashes of this device to a file");
  return command;
}

Command add_accuracy(CLI::App& parent) {
  auto a = std::make_shared<AccuracyArguments>();
  Command command =
      add_command(parent, "accuracy",
                  "Measure errors against exact results, on ordinary and on hard rows, beside PyTorch's", a,
                  run_accuracy);
  CLI::App& app = *command.app;
  add_operator(app, a->op);
  CLI::Option* all = app.add_flag("--all", a->all, "Every named operator in f32, bf16 and f16");
  for (CLI::Option* option : app.get_options())
    if (option->get_group() == "Operator" && !option->check_sname("n")) all->excludes(option);
  add_text(app, "--device", a->device, "DEVICE", device_kinds);
  add_text(app, "--markdown", a->markdown, "FILE", "Write the results as a Markdown table, too");
  return command;
}

void add_measure(CLI::App& app, MeasureOptions& m) {
  add_operator(app, m.op);
  add_text(app, "--device", m.device, "DEVICE", device_kinds);
  add_text(app, "--tokens", m.tokens, "COUNTS",
           "Token counts, such as 1,8,32 or 1..64 or 1..4096x2 (default "
           "1,8,32,128,256,512,1024,2048,4096)");
  add_seconds(app, m.seconds, "Budget of the search over all folds (default 20)");
  app.add_flag("--no-folds", m.no_folds, "Leave out the line whose fold is free per token count");
  app.add_flag("--no-python", m.no_python, "Leave out PyTorch and Triton");
  app.add_flag("--no-host", m.no_host, "Leave out the costs on the host");
}

Command add_bench(CLI::App& parent) {
  auto a = std::make_shared<MeasureOptions>();
  Command command = add_command(
      parent, "bench", "Time the operator beside a copy, a free fold, PyTorch and Triton", a, run_bench);
  add_measure(*command.app, *a);
  return command;
}

Command add_chart(CLI::App& parent) {
  auto a = std::make_shared<ChartArguments>();
  Command command = add_command(
      parent, "chart", "Draw execution time against number of tokens, as SVG and as a page", a, run_chart);
  CLI::App& app = *command.app;
  add_measure(app, a->measure);
  add_text(app, "--from", a->from, "FILE",
           "Draw what `isofold bench --json` or an earlier chart stored, measure nothing");
  add_text(app, "--output", a->output, "PREFIX", "Name of the files without ending (default isofold-chart)");
  add_choice(app, "--axis", a->axis, {"categories", "log"}, "Token axis: categories (default) or log");
  return command;
}

Command add_cache(CLI::App& parent) {
  using Action = CacheArguments::Action;
  auto a = std::make_shared<CacheArguments>();
  Command command = add_command(parent, "cache", "Look after the compiled kernels on disk", a, run_cache);
  command.app->require_subcommand(1);
  const auto part = [&](const char* name, Action action, const char* meaning) {
    CLI::App* made = command.app->add_subcommand(name, meaning);
    made->fallthrough();
    made->parse_complete_callback([a, action] { a->action = action; });
    return made;
  };
  part("list", Action::list, "Every entry: digest, kind, size, last use");
  part("verify", Action::verify, "Check every entry; exit code 1 when one is damaged");
  CLI::App& prune = *part("prune", Action::prune, "Remove damaged entries, and those over the limits given");
  part("clear", Action::clear, "Remove every entry");
  add_text(prune, "--max-size", a->max_size, "SIZE",
           "Remove the longest unused until the rest fits: 500M, 2G");
  add_text(prune, "--unused-for", a->unused_for, "TIME", "Remove what was not used for so long: 30d, 12h");
  return command;
}

Command add_doctor(CLI::App& parent) {
  auto a = std::make_shared<DoctorArguments>();
  Command command =
      add_command(parent, "doctor", "What was found here, what is missing and how to get it", a, run_doctor);
  add_text(*command.app, "--device", a->device, "DEVICE", device_kinds);
  return command;
}

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
  const std::vector<Command> commands = {add_tune(app),  add_inspect(app), add_verify(app), add_accuracy(app),
                                         add_bench(app), add_chart(app),   add_cache(app),  add_doctor(app)};
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
