#include "command_parts.hpp"

namespace isofold::tools {

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
             {"plan", "tree", "svg", "why", "candidates", "source", "usage", "ptx", "sass", "llvm", "asm"},
             "plan (default), tree, svg (its picture), why, candidates, source, usage; on a GPU ptx, sass; on the CPU llvm, asm");
  add_text(app, "--tokens", a->tokens, "COUNT", "Token count that the schedule is chosen for (default 1)");
  add_text(app, "--alignment", a->alignment, "BYTES",
           "Bytes that every pointer and row stride is a multiple of (default 16)");
  app.add_flag("--workspace", a->workspace, "The launch is handed a workspace, which a few long rows can use");
  add_text(app, "--schedule", a->schedule, "TEXT", "This schedule instead, in its text form");
  app.add_option("--page", a->page, "All of it as one page: plan, tree, why, usage, source, PTX, SASS")
      ->type_name("FILE")
      ->excludes(app.get_option("--show"));
  return command;
}

Command add_explain(CLI::App& parent) {
  auto a = std::make_shared<ExplainArguments>();
  Command command = add_command(parent, "explain", "Whether two configurations have the same bits and, if not, why", a, run_explain);
  command.app
      ->add_option("configurations", a->configurations,
                   "Two of: an operator as on the command line without --op, in quotes (\"rms_norm -n 4096 --fold '...'\"); a "
                   "Spec, or \"spec | fold | schedule\"; a file with a generated kernel")
      ->required()
      ->expected(2)
      ->type_name("A B");
  return command;
}

Command add_probe(CLI::App& parent) {
  auto a = std::make_shared<ProbeArguments>();
  a->op.op = "sum";
  a->op.n = {"1000"};
  a->op.dtype = "f32";
  Command command = add_command(parent, "probe",
                                "Find the summation tree of any function over rows, and whether it depends on the batch", a,
                                run_probe);
  CLI::App& app = *command.app;
  add_operator(app, a->op);
  std::string operators = app.get_option("--op")->get_description();
  operators.erase(operators.find(" (default)"), 10);
  app.get_option("--op")->description("An operator of Isofold (default sum): " + operators);
  app.get_option("-n")->description("Row length (default 1000)");
  app.get_option("--dtype")->description("Of the rows: f32 (default), f64, bf16 or f16");
  CLI::Option* library = app.add_option("--library", a->library, "A shared library whose function is probed")->type_name("FILE");
  CLI::Option* symbol =
      app.add_option("--symbol", a->symbol, "The function of --library")->type_name("NAME")->needs(library);
  library->needs(symbol);
  app.add_option("--form", a->form,
                 "Of that function: rows (default), void f(const T* x, T* y, int64_t rows, int64_t n), or value, T f(const T* x, "
                 "size_t n); T is float, or double with --dtype f64")
      ->check(CLI::IsMember({"rows", "value"}))
      ->type_name("WHAT")
      ->needs(library);
  CLI::Option* python = app.add_option("--python", a->python, "A Python function of an array [rows, n]: file.py:function, module:function or \"lambda x: ...\" with torch and numpy")
                            ->type_name("FUNCTION")
                            ->excludes(library);
  app.add_option("--arrays", a->arrays, "What --python gets: torch, numpy or list (default: the first that is installed)")
      ->check(CLI::IsMember({"torch", "numpy", "list"}))
      ->type_name("WHAT")
      ->needs(python);
  CLI::Option* all = app.add_flag("--all-schedules", a->all_schedules,
                                  "Every schedule of Isofold's operator, each against the tree of its fold");
  all->excludes(library)->excludes(python);
  for (CLI::Option* option : app.get_options())
    if (option->get_group() == "Operator" && !option->check_sname("n") && !option->check_lname("dtype"))
      option->excludes(library)->excludes(python);
  add_text(app, "--device", a->device, "DEVICE", "Of Isofold's operators auto (default), cpu or cuda:<n>; of --python cpu (default) or cuda");
  add_text(app, "--tokens", a->tokens, "COUNTS", "Token counts to compare (default 1,2,8,32,128)");
  add_text(app, "--svg", a->svg, "FILE", "Draw the trees into a file");
  return command;
}

Command add_doctor(CLI::App& parent) {
  auto a = std::make_shared<DoctorArguments>();
  Command command =
      add_command(parent, "doctor", "What was found here, what is missing and how to get it", a, run_doctor);
  add_text(*command.app, "--device", a->device, "DEVICE", device_kinds);
  return command;
}

}  // namespace isofold::tools
