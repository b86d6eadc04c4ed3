// Needs the CPU backend.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "command.hpp"
#include "support/error_text.hpp"

using namespace isofold::testing;

namespace {

const std::vector<std::string> quick = {"--device", "cpu", "-n",         "128",
                                        "--tokens", "1,4", "--no-folds", "--no-host"};

/// A python3 that is this shell script, and nothing else on PATH.
class World : public CommandWorld {
 public:
  explicit World(const std::string& script) {
    std::filesystem::create_directory(path("bin"));
    set("PATH", path("bin"));
    if (script.empty()) return;
    write_text(path("bin/python3"), "#!/bin/sh\n" + script);
    std::filesystem::permissions(path("bin/python3"), std::filesystem::perms::owner_all);
  }
};

std::vector<std::string> bench(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "bench");
  arguments.insert(arguments.end(), quick.begin(), quick.end());
  return arguments;
}

Json bench_with(const std::string& script, std::vector<std::string> arguments) {
  return World(script).json(bench(std::move(arguments)));
}

Json line_of(const Json& bench, const std::string& key) {
  for (const Json& line : bench.at("lines"))
    if (line.at("key") == key) return line;
  return nullptr;
}

}  // namespace

TEST_CASE(
    "the lines of the chart that the project started from keep their names, other operators have others") {
  const Json norm = bench_with("", {"--op", "add_rms_norm"});
  CHECK(line_of(norm, "python").at("name") == "Batch-invariant (Python)");
  CHECK(line_of(norm, "triton").at("name") == "Batch-invariant (Triton)");
  CHECK(line_of(norm, "native").at("name") == "PyTorch (native)");
  CHECK(line_of(norm, "compile").at("name") == "PyTorch (torch.compile)");
  const Json softmax = bench_with("", {"--op", "softmax"});
  CHECK(line_of(softmax, "python").at("name") == "PyTorch (eager)");
  CHECK(line_of(softmax, "compile").at("name") == "PyTorch (torch.compile)");
  CHECK(line_of(softmax, "triton").at("name") == "Triton (row per program)");
  CHECK(line_of(softmax, "native").is_null());
  for (const char* key : {"python", "compile", "triton"})
    CHECK(line_of(softmax, key).at("missing") == "there is no python3 on PATH");
}

TEST_CASE("times and reasons that the script prints end up in their lines; other output is passed over") {
  const Json measured = bench_with(
      "echo 'a warning'\n"
      "echo '{\"versions\": \"PyTorch 9.9\"}'\n"
      "echo '{\"key\": \"python\", \"tokens\": 1, \"call_us\": 5.5}'\n"
      "echo '{\"key\": \"python\", \"tokens\": 4, \"call_us\": 6.5}'\n"
      "echo '{\"key\": \"compile\", \"tokens\": 1, \"call_us\": 3.5}'\n"
      "echo '{\"key\": \"compile\", \"missing\": \"out of memory at 4 tokens\"}'\n",
      {"--op", "layer_norm"});
  CHECK(line_of(measured, "python").at("kernel_us") == Json({5.5, 6.5}));
  CHECK(line_of(measured, "python").at("missing") == "");
  CHECK(line_of(measured, "compile").at("kernel_us") == Json({3.5, nullptr}));
  CHECK(line_of(measured, "compile").at("missing") == "out of memory at 4 tokens");
  CHECK(line_of(measured, "triton").at("missing") == "the script said nothing of it");
  CHECK(contains(measured.at("environment").get<std::string>(), "PyTorch 9.9"));
}

TEST_CASE("the script is told the operator, its inputs and the lines that are wanted") {
  const Json measured =
      bench_with("shift; echo \"$*\" >&2; exit 3", {"--op", "cross_entropy", "--dtype", "f16"});
  CHECK(line_of(measured, "python").at("missing") ==
        "the script failed: --op cross_entropy --n 128 --inputs x:f16:row:1,target:i32:token:1 --tokens 1,4 "
        "--lines python,compile,triton --device cpu");
}

TEST_CASE("variants of an operator have no lines of others, another eps has") {
  const Json variant = bench_with("exit 0", {"--op", "rms_norm", "--no-weight"});
  CHECK(contains(line_of(variant, "python").at("missing").get<std::string>(), "default options only"));
  const Json eps = bench_with("exit 0", {"--op", "rms_norm", "--eps", "0.001"});
  CHECK(line_of(eps, "python").at("missing") == "the script said nothing of it");
}

TEST_CASE("a table of all lines is no wider than a screen") {
  std::string script;
  for (const char* key : {"python", "native", "compile", "triton"})
    for (const char* tokens : {"1", "4"})
      script +=
          std::string("echo '{\"key\": \"") + key + "\", \"tokens\": " + tokens + ", \"call_us\": 5.5}'\n";
  const auto words = World(script).run(bench({"--op", "rms_norm"}));
  CHECK(words.status == 0);
  CHECK(contains(words.output, "(torch.compile)"));
  const std::size_t first = words.output.find("Time of a call");
  REQUIRE(first != words.output.npos);
  for (std::size_t start = first; start < words.output.size();) {
    const std::size_t end = std::min(words.output.find('\n', start), words.output.size());
    CAPTURE(words.output.substr(start, end - start));
    CHECK(end - start <= 120);
    start = end + 1;
  }
}

TEST_CASE("with the python3 that is here every line has times or a reason") {
  const Json measured = CommandWorld().json(bench({"--op", "softmax"}));
  for (const char* key : {"python", "compile", "triton"}) {
    const Json line = line_of(measured, key);
    CAPTURE(line.dump());
    if (line.at("missing").get<std::string>().empty())
      CHECK(line.at("kernel_us")[0].get<double>() > 0);
    else
      CHECK_FALSE(contains(line.at("missing").get<std::string>(), "the script failed"));
  }
}
