#include "launch_recorder.hpp"

#include <isofold/isofold.hpp>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "support/error_text.hpp"
#include "support/temporary_folder.hpp"

using namespace isofold;
using isofold::testing::contains;

namespace {

const std::string spec = text(rms_norm({.n = 256})), fold = text(default_fold(rms_norm({.n = 256})));
const std::string device = text(*traits_of_arch("sm_90"));

class File {
 public:
  std::string path() const { return folder_ / "record.jsonl"; }

 private:
  isofold::testing::TemporaryFolder folder_;
};

}  // namespace

TEST_CASE("counts of several threads are all there, counts without a place are counted together") {
  LaunchCounts counts;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int round = 0; round < 1000; ++round)
        for (std::int64_t tokens = 1; tokens <= 16; ++tokens) counts.add(tokens * 37);
    });
  for (std::thread& thread : threads) thread.join();
  LaunchRecord record;
  counts.take(record);
  CHECK(record.launches.size() == 16);
  for (std::int64_t tokens = 1; tokens <= 16; ++tokens) CHECK(record.launches[tokens * 37] == 4000);
  CHECK(record.others == 0);

  const std::uint64_t many = 3 * LaunchCounts::places;
  for (std::uint64_t tokens = 1; tokens <= many; ++tokens) counts.add(static_cast<std::int64_t>(tokens));
  LaunchRecord full;
  counts.take(full);
  std::uint64_t sum = full.others;
  for (const auto& [tokens, launches] : full.launches) sum += launches;
  CHECK(full.others > 0);
  CHECK(sum == many);
}

TEST_CASE("two recorders of one file add up, and nothing is counted twice") {
  const File file;
  Log log(LogLevel::warning, [](LogLevel, std::string_view message) { FAIL(std::string(message)); });
  {
    LaunchRecorder first(file.path(), device, log), second(file.path(), device, log);
    CHECK(&first.counts(spec, fold) == &first.counts(spec, fold));
    first.counts(spec, fold).add(7);
    first.flush();
    first.flush();
    first.counts(spec, fold).add(7);
    second.counts(spec, fold).add(7);
    second.counts(spec, fold).add(100);
  }
  const auto records = read_launch_records(file.path());
  REQUIRE(records.size() == 1);
  CHECK(records[0] == LaunchRecord{spec, fold, device, {{7, 3}, {100, 1}}, 0});
}

TEST_CASE("a child made by fork neither hangs nor writes its parent's launches again") {
  const File file;
  Log log;
  {
    auto recorder = std::make_unique<LaunchRecorder>(file.path(), device, log);
    recorder->counts(spec, fold).add(5);
    const pid_t child = fork();
    if (child == 0) {
      recorder.reset();
      _exit(0);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  CHECK(read_launch_records(file.path()).at(0).launches.at(5) == 1);
}

TEST_CASE("a file that is no record is left as it is, with one warning") {
  const File file;
  std::ofstream(file.path()) << "someone's notes\n";
  std::vector<std::string> warnings;
  Log log(LogLevel::warning, [&](LogLevel, std::string_view message) { warnings.emplace_back(message); });
  {
    LaunchRecorder recorder(file.path(), device, log);
    recorder.counts(spec, fold).add(5);
    recorder.flush();
    recorder.counts(spec, fold).add(5);
  }
  REQUIRE(warnings.size() == 1);
  CHECK(contains(warnings[0], file.path() + ":1: not a record of launches"));
  std::string line;
  std::getline(std::ifstream(file.path()), line);
  CHECK(line == "someone's notes");
}
