#include <exception>
#include <isofold/error.hpp>
#include <new>

#include "command_line.hpp"

namespace {

using namespace isofold::tools;

int run(int argc, char** argv, Console& console) {
  try {
    return run_command_line(argc, argv, console);
  } catch (const isofold::UsageError& error) {
    console.failure("usage", error.what());
    return exit_usage;
  } catch (const std::bad_alloc&) {
    console.failure("usage", "this does not fit into the machine's memory");
    return exit_usage;
  } catch (const std::exception& error) {
    console.failure("internal", error.what());
    return exit_internal;
  }
}

}  // namespace

int main(int argc, char** argv) {
  Console console;
  const int status = run(argc, argv, console);
  const std::string lost = lost_output();
  if (lost.empty()) return status;
  console.json = false;  // there is nowhere for a document
  console.failure("usage", lost);
  return exit_usage;
}
