#pragma once
#include <CLI/CLI.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "commands.hpp"

// The command line in terms of CLI11, for the sources that declare sub-commands (*_commands.cpp) and the one that runs them
// (command_line.cpp). No other source knows of CLI11, but operator_line.cpp.

namespace isofold::tools {

inline constexpr const char* device_kinds = "auto (default: the first GPU, else the CPU), cpu or cuda:<n>";

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

void add_text(CLI::App& app, const char* names, std::string& value, const char* type, const char* meaning);
void add_choice(CLI::App& app, const char* names, std::string& value, std::vector<std::string> choices,
                const char* meaning);
/// --seconds
void add_seconds(CLI::App& app, double& value, const char* meaning);
/// --op and all that goes with it.
void add_operator(CLI::App& app, OperatorOptions& op);

// Each in the source of its kind: what measures, what shows, what looks after files.
Command add_tune(CLI::App& parent);
Command add_verify(CLI::App& parent);
Command add_accuracy(CLI::App& parent);
Command add_bench(CLI::App& parent);
Command add_chart(CLI::App& parent);
Command add_inspect(CLI::App& parent);
Command add_explain(CLI::App& parent);
Command add_probe(CLI::App& parent);
Command add_doctor(CLI::App& parent);
Command add_bundle(CLI::App& parent);
Command add_table(CLI::App& parent);
Command add_cache(CLI::App& parent);
// What is made of the whole command line, whose declarations they read when they run.
Command add_completion(CLI::App& parent);
Command add_man(CLI::App& parent);

}  // namespace isofold::tools
