#include <exception>
#include <isofold/error.hpp>

#include "command_line.hpp"

int main(int argc, char** argv) {
  using namespace isofold::tools;
  Console console;
  try {
    return run_command_line(argc, argv, console);
  } catch (const isofold::UsageError& error) {
    console.failure("usage", error.what());
    return exit_usage;
  } catch (const std::exception& error) {
    console.failure("internal", error.what());
    return exit_internal;
  }
}
