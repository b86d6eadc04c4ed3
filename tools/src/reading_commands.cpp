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
             {"plan", "tree", "candidates", "source", "usage", "ptx", "sass", "llvm", "asm"},
             "plan (default), tree, candidates, source, usage; on a GPU ptx, sass; on the CPU llvm, asm");
  add_text(app, "--tokens", a->tokens, "COUNT", "Token count that the schedule is chosen for (default 1)");
  add_text(app, "--alignment", a->alignment, "BYTES",
           "Bytes that every pointer and row stride is a multiple of (default 16)");
  add_text(app, "--schedule", a->schedule, "TEXT", "This schedule instead, in its text form");
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
