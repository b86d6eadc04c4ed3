// Needs the CPU backend.
#include <doctest/doctest.h>

#include "command.hpp"
#include "programs.hpp"

using namespace isofold::testing;

TEST_CASE("what the oracle cannot hold is refused before anything runs, and a folder that is made is named") {
  const CommandWorld world;
  world.refused({"verify", "--op", "rms_norm", "-n", "2147483647", "--device", "cpu", "--tokens", "1"}, "the oracle needs");
  const auto made = world.run({"verify", "--op", "rms_norm", "-n", "64", "--device", "cpu", "--tokens", "1", "--write-hashes",
                               world.path("new/hashes.jsonl")});
  CHECK(made.status == 0);
  CHECK(made.errors.find("made the folder " + world.path("new")) != made.errors.npos);
}

TEST_CASE("Ctrl-C ends the oracle's work, too") {
  const CommandWorld world;
  const auto stopped = isofold::tools::run_program({"timeout", "--foreground", "--preserve-status", "--signal=INT", "1", "env", "HOME=" + world.path(""),
                                                    "XDG_CACHE_HOME=" + world.path("xdg"), ISOFOLD_COMMAND, "verify", "--op", "rms_norm",
                                                    "-n", "1000000", "--device", "cpu", "--tokens", "1"});
  CHECK(stopped.status == 130);
  CHECK(stopped.output.find("interrupted:") != stopped.output.npos);
}

TEST_CASE("verify compares what it says, and finds nothing") {
  const CommandWorld world;
  const Json json = world.json({"verify", "--device", "cpu", "-n", "96,520", "--dtype", "f16", "--tokens",
                                "1..40", "--all-schedules"});
  CHECK(json.at("passed") == true);
  CHECK(json.at("differing") == 0);
  CHECK(json.at("overwritten_bytes") == 0);
  CHECK(json.at("results").size() == 2);
  // Launches over 1 to 40 rows with two outputs of n elements, at least.
  CHECK(json.at("elements").get<std::int64_t>() >= 820 * 2 * (96 + 520));
  const auto words = world.run({"verify", "--device", "cpu", "-n", "64", "--tokens", "1,7"});
  CHECK(words.status == 0);
  CHECK(words.output.find("elements differ from the oracle") != words.output.npos);
}

TEST_CASE("an interrupted verify does not look like a pass") {
  const CommandWorld world;
  // In the foreground: else the command gets the signal twice, and the second one ends it at once.
  const std::vector<std::string> command = {"timeout",
                                            "--foreground",
                                            "--preserve-status",
                                            "--signal=INT",
                                            "4",
                                            "env",
                                            "HOME=" + world.path(""),
                                            ISOFOLD_COMMAND,
                                            "verify",
                                            "--device",
                                            "cpu",
                                            "-n",
                                            "512",
                                            "--tokens",
                                            "1..16384"};
  const auto result = isofold::tools::run_program(command);
  CAPTURE(result.output);
  CHECK(result.status == 130);
  CHECK(result.output.find("✓") == result.output.npos);
  CHECK(result.output.find("interrupted: ") != result.output.npos);
}

TEST_CASE("rows without elements are verified, too") {
  const CommandWorld world;
  const auto one_number = world.run({"verify", "--device", "cpu", "--tokens", "1..3", "--op", "mean", "-n", "0"});
  CHECK(one_number.status == 0);
  CHECK(one_number.output.find("0 of") != one_number.output.npos);
  CHECK(world.run({"verify", "--device", "cpu", "--tokens", "1..3", "--op", "softmax", "-n", "0"}).status == 0);
}

TEST_CASE("results that cannot be written are an error") {
  const CommandWorld world;
  const std::string verify =
      "exec " ISOFOLD_COMMAND " verify --device cpu -n 64 --tokens 1 --json --quiet > /dev/full";
  const auto result = isofold::tools::run_program({"env", "HOME=" + world.path(""), "sh", "-c", verify});
  CHECK(result.status == 2);
  CHECK(result.errors.find("standard output could not be written") != result.errors.npos);
}

TEST_CASE("hashes that one run stored are found again by the next, and a wrong one is a failed check") {
  const CommandWorld world;
  const std::string file = world.path("hashes.jsonl");
  const std::vector<std::string> op = {"-n", "200", "--op", "rms_norm", "--device", "cpu", "--tokens", "1"};
  std::vector<std::string> write = {"verify", "--write-hashes", file};
  write.insert(write.end(), op.begin(), op.end());
  CHECK(world.json(write).at("passed") == true);
  CHECK(world.json({"verify", "--hashes", file, "--device", "cpu"}).at("hashes").size() == 1);

  std::string text = read_text(file);
  const std::size_t hash = text.find("\"y\":\"") + 5;
  text[hash] = text[hash] == '0' ? '1' : '0';
  write_text(file, text);
  const Json failed = world.json({"verify", "--hashes", file, "--device", "cpu"}, 1);
  CHECK(failed.at("passed") == false);
  CHECK(failed.at("hashes")[0].at("differing_outputs") == "y");

  write_text(file, "not a record\n");
  CHECK(world.run({"verify", "--hashes", file}).status == 2);
  CHECK(world.run({"verify", "--write-hashes", file, "-n", "8", "--tokens", "1", "--device", "cpu"}).status ==
        2);
  CHECK(read_text(file) == "not a record\n");
}

TEST_CASE("the CPU backend still has the bits of the hashes in the repository") {
  const CommandWorld world;
  const Json json = world.json({"verify", "--hashes", ISOFOLD_HASHES, "--device", "cpu"});
  CHECK(json.at("passed") == true);
  CHECK(json.at("hashes").size() >= 30);
}
