#include "command_parts.hpp"

namespace isofold::tools {

namespace {

void add_report(CLI::App& app, std::string& file) {
  add_text(app, "--report", file, "FILE", "Write the results as one page that needs nothing else (HTML)");
}

}  // namespace

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
  CLI::Option* from =
      app.add_option("--from", a->from,
                     "The operators and token counts that an application launched: a record that ISOFOLD_RECORD made")
          ->type_name("FILE");
  for (CLI::Option* option : app.get_options())
    if (option->get_group() == "Operator" || option->check_lname("tokens")) option->excludes(from);
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
  add_report(app, a->report);
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
  add_report(app, a->report);
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

namespace {

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

}  // namespace

Command add_bench(CLI::App& parent) {
  auto a = std::make_shared<MeasureOptions>();
  Command command = add_command(
      parent, "bench", "Time the operator beside a copy, a free fold, PyTorch and Triton", a, run_bench);
  add_measure(*command.app, *a);
  add_report(*command.app, a->report);
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

}  // namespace isofold::tools
