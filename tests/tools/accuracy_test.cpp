// Needs the CPU backend.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "command.hpp"
#include "support/error_text.hpp"

using namespace isofold::testing;

namespace {

/// A python3 that plays PyTorch for row sums of f32: with "exact" it gives what math.fsum does, with "zero"
/// nothing but zeros, with "partly" no result of every second job, with "wrong" files of another size.
constexpr const char* played = R"py(
import json, math, os, struct, sys
jobs = json.load(open(sys.argv[sys.argv.index("--jobs") + 1]))
mode = os.environ["PLAYED"]
for number, job in enumerate(jobs):
    if mode == "partly" and number % 2:
        print(json.dumps({"job": number, "missing": "out of memory"}))
        continue
    n, rows = job["n"], job["rows"]
    with open(job["inputs"][0]["path"], "rb") as file:
        x = struct.unpack(f"{n * rows}f", file.read())
    y = [0 if mode == "zero" else math.fsum(x[r * n : r * n + n]) for r in range(rows)]
    if mode == "wrong":
        y = y[1:]
    with open(job["outputs"][0]["path"], "wb") as file:
        file.write(struct.pack(f"{len(y)}f", *y))
    print(json.dumps({"job": number}))
print(json.dumps({"versions": "PyTorch 0.0 (played)"}))
)py";

class World : public CommandWorld {
 public:
  World() {
    std::filesystem::create_directory(path("bin"));
    set("PATH", path("bin"));
  }
  /// False when there is no python3 here to play with.
  bool play(const std::string& mode) {
    const auto python = isofold::tools::find_program("python3");
    if (!python) return false;
    write_text(path("played.py"), played);
    // What lies behind the name may itself need the PATH that is hidden here.
    write_text(path("bin/python3"), "#!/bin/sh\nshift\nPATH='" + std::string(std::getenv("PATH")) +
                                        "' exec '" + *python + "' '" + path("played.py") + "' \"$@\"\n");
    std::filesystem::permissions(path("bin/python3"), std::filesystem::perms::owner_all);
    set("PLAYED", mode);
    return true;
  }
};

std::vector<std::string> accuracy(const char* op, const char* dtype, const char* n = "300") {
  return {"accuracy", "--device", "cpu", "--op", op, "--dtype", dtype, "-n", n};
}

}  // namespace

TEST_CASE("errors on the CPU are small, and without python3 the reason is said") {
  const World world;
  struct Case {
    const char* op;
    std::size_t results;
  };
  for (const Case& one : {Case{"softmax", 3},
                          {"log_softmax", 3},
                          {"rms_norm", 3},
                          {"layer_norm", 5},
                          {"norm2", 3},
                          {"cross_entropy", 6}})
    for (const char* dtype : {"f32", "bf16", "f16"}) {
      CAPTURE(one.op);
      CAPTURE(dtype);
      const Json json = world.json(accuracy(one.op, dtype));
      CHECK(json.at("passed") == true);
      CHECK(json.at("results").size() == one.results);
      for (const Json& result : json.at("results")) {
        CAPTURE(result.dump());
        CHECK(result.at("pytorch").is_null());
        CHECK(result.at("pytorch_missing") == "there is no python3 on PATH");
        // Offsets and cancelling rows lose digits before the end in any order of additions.
        if (result.at("data") != "normal") continue;
        CHECK(result.at("largest_ulp").get<double>() < 8);
        CHECK(result.at("mean_ulp").get<double>() < 1);
        CHECK(result.at("mean_ulp").get<double>() > 0.01);
      }
    }
  const auto words = world.run(accuracy("mean", "bf16"));
  CHECK(words.status == 0);
  CHECK(contains(words.output, "PyTorch, mean: there is no python3 on PATH"));
}

TEST_CASE("quantised results are within half a step, as good as it gets") {
  const World world;
  for (const char* op : {"rms_norm_quant", "rms_norm_quant_i8", "rms_norm_static_quant", "silu_and_mul_quant", "silu_and_mul_static_quant"}) {
    CAPTURE(op);
    const Json json = world.json(accuracy(op, "bf16"));
    std::size_t quantised = 0;
    for (const Json& result : json.at("results")) {
      CAPTURE(result.dump());
      if (result.at("output") != "y") continue;
      ++quantised;
      CHECK(result.at("largest_ulp").get<double>() < 0.501);
      if (result.at("data") == "normal") CHECK(result.at("mean_ulp").get<double>() > 0.1);
    }
    CHECK(quantised == 3);
  }
}

TEST_CASE("a maximum is exact") {
  const Json json = World().json(accuracy("amax", "f16"));
  for (const Json& result : json.at("results")) CHECK(result.at("largest_ulp") == 0);
}

TEST_CASE("results of PyTorch are compared with the same reference") {
  World good, bad;
  if (!good.play("zero") || !bad.play("exact")) return;
  const Json better = good.json(accuracy("sum", "f32"));
  CHECK(better.at("passed") == true);
  CHECK(better.at("versions") == "PyTorch 0.0 (played)");
  for (const Json& result : better.at("results")) {
    CHECK(result.at("never_worse") == true);
    CHECK(result.at("pytorch").at("largest_ulp").get<double>() > 1000);
  }
  const Json worse = bad.json(accuracy("sum", "f32"), 1);
  CHECK(worse.at("passed") == false);
  for (const Json& result : worse.at("results")) {
    CHECK(result.at("pytorch").at("largest_ulp").get<double>() <= 0.5);
    if (result.at("data") == "cancelling") CHECK(result.at("never_worse") == false);
  }
  std::vector<std::string> table = accuracy("sum", "f32");
  table.insert(table.end(), {"--markdown", bad.path("table.md")});
  const auto words = bad.run(table);
  CHECK(words.status == 1);
  CHECK(contains(words.output, "are worse than PyTorch's"));
  CHECK(contains(read_text(bad.path("table.md")), "| `sum` 300 | cancelling |"));
  CHECK(contains(read_text(bad.path("table.md")), "**no**"));
}

TEST_CASE("a job without a result says why, a result of the wrong size is refused") {
  World partly, wrong;
  if (!partly.play("partly") || !wrong.play("wrong")) return;
  const Json json = partly.json(accuracy("sum", "f32"), 1);
  CHECK(json.at("results")[1].at("pytorch_missing") == "out of memory");
  CHECK(json.at("results")[0].at("pytorch").is_object());
  const auto refused = wrong.run(accuracy("sum", "f32"));
  CHECK(refused.status == 2);
  CHECK(contains(refused.errors, "PyTorch stored"));
}

TEST_CASE("a Spec of one's own has errors, too, and nothing of PyTorch's") {
  const Json json = World().json({"accuracy", "--device", "cpu", "--spec",
                                  "mine N=64 (x: bf16[row]) { total = sum(silu(x)); y: f32 = div(total, N) }"});
  CHECK(json.at("results")[0].at("op") == "mine");
  CHECK(contains(json.at("results")[0].at("pytorch_missing").get<std::string>(), "named operators"));
}

TEST_CASE("all operators") {
  const World world;
  const Json json =
      world.json({"accuracy", "--device", "cpu", "--all", "-n", "40", "--markdown", world.path("all.md")});
  const std::string table = read_text(world.path("all.md"));
  for (const char* op : {"rms_norm", "rms_norm_quant_i8", "silu_and_mul_static_quant", "cross_entropy", "logsumexp"})
    CHECK(contains(table, "| `" + std::string(op) + "`"));
  CHECK(contains(table,
                 "| operator, N | rows | f32 | PyTorch | bf16 | PyTorch | f16 | PyTorch | never worse |"));
  CHECK(json.at("results").size() > 200);
}
