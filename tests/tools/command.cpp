#include "command.hpp"

#include <doctest/doctest.h>
#include <isofold/codegen/cpu_backend.hpp>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "support/error_text.hpp"

namespace isofold::testing {

namespace {

std::string line_of(const std::vector<std::string>& arguments) {
  std::string line;
  for (const std::string& argument : arguments) line += argument + " ";
  return line;
}

}  // namespace

CommandWorld::CommandWorld() {
  set("HOME", folder_.path());
  set("XDG_CACHE_HOME", folder_ / "xdg");
}

tools::ProgramResult CommandWorld::run(std::vector<std::string> arguments) const {
  std::vector<std::string> command = {"env"};
  for (const char* name :
       {"DEVICE", "CACHE", "TABLES", "BUNDLES", "REQUIRE", "RECORD", "NVRTC", "CUDA", "DUMP", "TEMPLATES", "THREADS", "NVTX", "LOG"}) {
    command.push_back("-u");
    command.push_back(std::string("ISOFOLD_") + name);
  }
  command.insert(command.end(), variables_.begin(), variables_.end());
  command.push_back(ISOFOLD_COMMAND);
  command.insert(command.end(), arguments.begin(), arguments.end());
  return tools::run_program(command);
}

Json CommandWorld::json(std::vector<std::string> arguments, int status) const {
  arguments.push_back("--json");
  const tools::ProgramResult result = run(arguments);
  const std::string line = line_of(arguments);
  CAPTURE(line);
  CAPTURE(result.errors);
  CHECK(result.status == status);
  const Json document = Json::parse(result.output, nullptr, false);
  REQUIRE_FALSE(document.is_discarded());
  return document;
}

std::string CommandWorld::refused(std::vector<std::string> arguments, const std::string& words) const {
  const std::string line = line_of(arguments);
  const tools::ProgramResult result = run(std::move(arguments));
  CAPTURE(line);
  CAPTURE(result.errors);
  CHECK(result.status == 2);
  CHECK(result.output.empty());
  CHECK(contains(result.errors, words));
  return result.errors;
}

std::string CommandWorld::show(const std::string& what, const std::string& device) const {
  const tools::ProgramResult result =
      run({"inspect", "-n", "1024", "--show", what, "--device", device, "--tokens", "32"});
  CAPTURE(what);
  CAPTURE(device);
  CAPTURE(result.errors);
  CHECK(result.status == 0);
  return result.output;
}

bool has_cpu_backend() { return !llvm_version().empty(); }

bool has_nvrtc() {
  static const bool found = [] {
    // Asked outside of any test, where nothing can be checked.
    const Json doctor = Json::parse(CommandWorld().run({"doctor", "--json"}).output);
    return doctor.at("gpu").contains("NVRTC") && !doctor.at("gpu").at("NVRTC").contains("missing");
  }();
  return found;
}

std::string browser() {
  for (const char* name : {"chromium", "chromium-browser", "google-chrome"})
    if (const auto path = tools::find_program(name)) return *path;
  return {};
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace isofold::testing
