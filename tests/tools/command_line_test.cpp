#include <doctest/doctest.h>

#include "command.hpp"
#include "support/error_text.hpp"

using namespace isofold::testing;
using Arguments = std::vector<std::string>;

namespace {

const Arguments sub_commands = {"tune", "inspect", "verify", "accuracy", "bench", "chart", "probe", "bundle", "table", "cache", "doctor", "completion", "man"};

/// A command line that is refused, and words that the message must have.
struct Refused {
  Arguments arguments;
  const char* words;
};

}  // namespace

TEST_CASE("help names every sub-command and every exit code") {
  const CommandWorld world;
  const auto help = world.run({"--help"});
  CHECK(help.status == 0);
  CHECK(help.errors.empty());
  for (const std::string& name : sub_commands) {
    CAPTURE(name);
    CHECK(contains(help.output, name));
    const auto own = world.run({name, "--help"});
    CHECK(own.status == 0);
    CHECK(contains(own.output, "--json"));
    CHECK(contains(own.output, "Exit codes: 0 success; 1 a check failed"));
    CHECK_FALSE(contains(own.output, "Excludes"));
  }
  CHECK(world.run({"--version"}).output.starts_with("isofold "));
}

TEST_CASE("a wrong command line is refused with what was passed and what is allowed") {
  const CommandWorld world;
  const Refused cases[] = {
      {{}, "--help"},
      {{"polish"}, "\"polish\" is no sub-command; there are tune, inspect"},
      {{"inspect", "--polish"}, "\"--polish\" is no option here (see isofold inspect --help)"},
      {{"accuracy", "--polish", "8"}, "\"--polish\" is no option"},
      {{"inspect", "polish"}, "\"polish\" is one word too many"},
      {{"--polish"}, "\"--polish\" is no option here (see isofold --help)"},
      {{"--op", "sum", "inspect"}, "\"--op\" is no option here"},
      {{"table", "merge", "a", "--ouput", "b"}, "\"--ouput\" is no option here (see isofold table merge --help)"},
      {{"cache", "polish"}, "\"polish\" is no sub-command; there are list, verify, prune, clear"},
      {{"inspect", "--op", "sofmax"}, "\"sofmax\"; allowed are rms_norm, add_rms_norm, gated_rms_norm"},
      {{"inspect", "--dtype", "int8"}, "\"int8\"; allowed are f32, bf16, f16, "},
      {{"inspect", "--weight-mode", "twice"}, "\"twice\"; allowed are f32, after_cast"},
      {{"inspect", "-n", "1.5"}, "\"1.5\"; allowed is a whole number from 0 to 2147483647"},
      {{"inspect", "--op", "max", "-n", "0"}, "of a row without elements"},
      {{"inspect", "--spec", ""}, "the value is empty"},
      {{"inspect", "--op", "rms_norm_quant", "--static-scale", ""}, "--static-scale: the value is empty"},
      {{"inspect", "--op", "rms_norm_quant", "--static-scale", "much"}, "\"much\"; allowed is a number, on or off"},
      {{"inspect", "--op", "add_rms_norm", "--static-scale"}, "unknown or repeated key 'static_scale'"},
      {{"inspect", "--length", "--spec", "s N=8 (x: f32[row]) { y: f32 = sum(x) }"}, "--length excludes --spec"},
      {{"inspect", "-n", "-1"}, "\"-1\""},
      {{"inspect", "-n", "2147483648"}, "\"2147483648\""},
      {{"inspect", "-n", "99999999999999999999"}, "\"99999999999999999999\""},
      {{"inspect", "-n", "12x"}, "\"12x\""},
      {{"inspect", "-n", "8,16"}, "takes one"},
      {{"inspect", "--eps", "nan"}, "nan"},
      {{"inspect", "--eps", "-1"}, "-1"},
      {{"inspect", "--eps", "1e99"}, "1e99"},
      {{"inspect", "--op", "rms_norm", "--residual-dtype", "f32"}, "unknown or repeated key 'residual_dtype'"},
      {{"inspect", "--no-weight", "--weight-offset-one"}, "weight=off"},
      {{"inspect", "--spec", "nonsense"}, "nonsense"},
      {{"inspect", "--spec", "x", "-n", "3"}, "--spec"},
      {{"inspect", "--fold", "leaf=3 lanes=32 segments=1"}, "power of two"},
      {{"inspect", "--fold", "leaf=8"}, "lanes"},
      {{"inspect", "--tokens", "0", "--device", "sm_90"}, "\"0\""},
      {{"inspect", "--tokens", "-5", "--device", "sm_90"}, "\"-5\""},
      {{"inspect", "--tokens", "", "--device", "sm_90"}, "--tokens"},
      {{"inspect", "--tokens", "9223372036854775808", "--device", "sm_90"}, "9223372036854775808"},
      {{"inspect", "--tokens", "1,2", "--device", "sm_90"}, "several"},
      {{"verify", "--tokens", "8..1"}, "is empty"},
      {{"verify", "--tokens", "1..1000000"}, "more than"},
      {{"inspect", "--alignment", "3", "--device", "sm_90"}, "power of two"},
      {{"inspect", "--device", "tpu"}, "\"tpu\"; allowed are auto, cpu, cuda, cuda:<n>, and with"},
      {{"inspect", "--device", "sm_70"}, "\"sm_70\"; architectures that are known: sm_80"},
      {{"inspect", "--device", "cuda:-1"}, "cuda:-1"},
      {{"tune", "--device", "sm_90"}, "`isofold inspect` alone"},
      {{"inspect", "--show", "soul"}, "soul"},
      {{"inspect", "--show", "llvm", "--device", "sm_90"}, "does not exist for device sm_90"},
      {{"inspect", "--schedule", "gpu threads=3", "--device", "sm_90"}, "schedule"},
      {{"tune", "--seconds", "0"}, "--seconds"},
      {{"accuracy", "--all", "--op", "sum"}, "--all"},
      {{"accuracy", "--all", "--dtype", "f32"}, "--all"},
      {{"accuracy", "-n", "-1"}, "\"-1\""},
      {{"accuracy", "--op", "rms_norm", "--markdown", "/tmp"}, "is a folder"},
      {{"chart", "--axis", "round"}, "round"},
      {{"chart", "--from", "/nowhere/bench.json"}, "/nowhere/bench.json"},
      {{"verify", "--hashes", "/nowhere/hashes.jsonl"}, "/nowhere/hashes.jsonl"},
      {{"chart", "--output", "/tmp/"}, "--output is \"/tmp/\""},
      {{"tune", "--seconds", "abc"}, "\"abc\"; allowed is a number from 0.1 to 86400"},
      {{"cache"}, "--help"},
      {{"cache", "prune", "--max-size", "3X"}, "3X"},
      {{"cache", "prune", "--unused-for", "soon"}, "soon"},
  };
  for (const Refused& one : cases) world.refused(one.arguments, one.words);
}

TEST_CASE("with --json an error is a document too") {
  const CommandWorld world;
  CHECK(world.json({"inspect", "-n", "x"}, 2).at("error").at("kind") == "usage");
  CHECK(world.json({"inspect", "--polish"}, 2).at("error").at("kind") == "usage");
  CHECK(contains(world.run({"--json", "polish"}).errors, "\"polish\" is no sub-command"));
}

TEST_CASE("a wrong environment variable is refused by name") {
  CommandWorld world;
  world.set("ISOFOLD_THREADS", "many");
  world.refused({"doctor"}, "ISOFOLD_THREADS is \"many\"; allowed: 1 to");
}

TEST_CASE("doctor names variables that look like settings and are none") {
  CommandWorld world;
  world.set("ISOFOLD_REQUIRED", "bundled");
  const Json doctor = Json::parse(world.run({"--json", "doctor"}).output);
  CHECK(contains(doctor.at("runtime").at("ISOFOLD_REQUIRED").at("missing").get<std::string>(), "not read"));
  CHECK_FALSE(doctor.at("runtime").contains("ISOFOLD_CACHE"));
}

TEST_CASE("doctor says what is here, what is missing and how to get it, and where settings come from") {
  CommandWorld world;
  world.set("ISOFOLD_LOG", "error");
  world.set("ISOFOLD_CUDA", "libno-such-driver.so");
  const Json doctor = world.json({"doctor"});
  CHECK(doctor.at("build").contains("version"));
  CHECK(doctor.at("cpu").contains("LLVM"));
  CHECK_FALSE(doctor.at("gpu").at("driver").at("remedy").get<std::string>().empty());
  CHECK(doctor.at("missing").get<int>() >= 1);
  CHECK(doctor.at("settings").size() == 13);
  for (const Json& setting : doctor.at("settings"))
    if (setting.at("variable") == "ISOFOLD_LOG") {
      CHECK(setting.at("value") == "error");
      CHECK(setting.at("from") == "environment");
    }
  const auto words = world.run({"doctor"});
  CHECK(words.status == 0);
  CHECK(contains(words.output, "ISOFOLD_CACHE "));
  CHECK_FALSE(contains(words.output, "\x1b["));  // no colours without a terminal
}

TEST_CASE("a cache that cannot be used is an error of its own sub-command") {
  CommandWorld world;
  world.set("ISOFOLD_CACHE", "/dev/null/cache");
  world.refused({"cache", "list"}, "/dev/null/cache");
}
