#pragma once
#include <CLI/CLI.hpp>
#include <functional>

#include "console.hpp"

namespace isofold::tools {

/// A sub-command: how it is written, and what it does. `run` returns an ExitCode, and throws UsageError or
/// InternalError.
struct Command {
  CLI::App* app = nullptr;
  std::function<int(const Console&)> run;
};

Command add_tune(CLI::App& parent);
Command add_inspect(CLI::App& parent);
Command add_verify(CLI::App& parent);
Command add_bench(CLI::App& parent);
Command add_chart(CLI::App& parent);
Command add_cache(CLI::App& parent);
Command add_doctor(CLI::App& parent);

}  // namespace isofold::tools
