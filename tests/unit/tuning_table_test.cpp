#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/error.hpp>
#include <isofold/tuning_table.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>
#include <vector>

#include "support/error_text.hpp"
#include "support/temporary_folder.hpp"

using namespace isofold;
using isofold::testing::contains;
using isofold::testing::TemporaryFolder;

namespace {

namespace fs = std::filesystem;

const Spec spec = rms_norm({.n = 4096});
const Fold fold = default_fold(spec);
const DeviceTraits device = *traits_of_arch("sm_90");

Schedule schedule(int threads, int rows = 1) {
  return GpuSchedule{.threads_per_row = threads, .rows_per_block = rows, .vector = 8};
}

TableRecord record(std::int64_t n = 4096, double microseconds = 1.25) {
  const Spec s = rms_norm({.n = n});
  const Fold f = default_fold(s);
  const bool plain = n == 4096;
  return {
      .spec = text(s),
      .fold = text(f),
      .device = text(device),
      .environment = "driver 13.0",
      .ranges = {{1, plain ? schedule(128) : candidates(s, f, device).front().schedule(), microseconds, 1},
                 {91, plain ? schedule(64, 4) : candidates(s, f, device).back().schedule(), 12.5, 128}},
      .origin = {}};
}

std::string replaced(std::string line, const std::string& from, const std::string& to) {
  const std::size_t at = line.find(from);
  REQUIRE(at != std::string::npos);
  return line.replace(at, from.size(), to);
}

std::string error_of(const std::string& line) {
  return testing::usage_error([&] { parse_table_record(line); });
}

}  // namespace

TEST_CASE("a record is one line that parses back") {
  const TableRecord r = record();
  const std::string line = to_json_line(r);
  CHECK(line.find('\n') == std::string::npos);
  CHECK(line.starts_with("{\"spec\":\"rms_norm N=4096 "));
  const TableRecord back = parse_table_record(line);
  CHECK(back.spec == r.spec);
  CHECK(back.fold == r.fold);
  CHECK(back.device == r.device);
  CHECK(back.environment == r.environment);
  CHECK(back.ranges == r.ranges);
  CHECK(to_json_line(back) == line);
}

TEST_CASE("what is not a record is refused with the reason") {
  const std::string line = to_json_line(record());
  CHECK(error_of("") == "tuning record: not JSON");
  CHECK(error_of("[]") == "tuning record: the record is not an object");
  CHECK(error_of("{}") == "tuning record: the record has no key \"spec\"");
  CHECK(error_of(line.substr(0, line.size() - 2)) == "tuning record: not JSON");
  CHECK(error_of(replaced(line, "\"environment\"", "\"surroundings\"")) ==
        "tuning record: the record has no key \"environment\"");
  CHECK(error_of(replaced(line, "{\"spec\"", "{\"bits\":1,\"spec\"")) ==
        "tuning record: the record has the unknown key \"bits\"");
  CHECK(contains(error_of(replaced(line, "rms_norm N=4096", "rms_norm N=-1")), "N"));
  CHECK(contains(error_of(replaced(line, "lanes=", "lane=")), "fold"));
  CHECK(contains(error_of(replaced(line, "arch=90", "arch=70")), "device"));
  CHECK(contains(error_of(replaced(line, "gpu threads=128", "gpu threads=127")),
                 "threads=127 must be a power of two"));
  CHECK(error_of(replaced(line, "\"first_tokens\":1,", "\"first_tokens\":2,")) ==
        "tuning record: \"first_tokens\" of the ranges must ascend, beginning with 1");
  CHECK(contains(error_of(replaced(line, "\"first_tokens\":91", "\"first_tokens\":1")), "must ascend"));
  CHECK(contains(error_of(replaced(line, "\"first_tokens\":91", "\"first_tokens\":-1")), "at least 1"));
  CHECK(contains(error_of(replaced(line, "\"first_tokens\":91", "\"first_tokens\":91.5")), "not an integer"));
  CHECK(contains(error_of(replaced(line, "\"microseconds\":1.25", "\"microseconds\":-1.25")),
                 "not a number of at least 0"));
  CHECK(contains(error_of(replaced(line, "\"microseconds\":1.25", "\"microseconds\":\"1.25\"")),
                 "not a number"));
}

TEST_CASE("a schedule that needs a workspace stands beside one that needs none") {
  const GpuSchedule plain{.threads_per_row = 256, .staging = Staging::reread, .vector = 8};
  GpuSchedule split = plain;
  split.blocks_per_row = 2;
  split.split = Split::workspace;
  TableRecord r = record(16384);
  r.ranges = {{.first_tokens = 1, .schedule = plain, .microseconds = 3, .with_workspace = MeasuredSchedule{split, 1.5}},
              {.first_tokens = 9, .schedule = plain, .microseconds = 4, .measured_tokens = 16}};
  const std::string line = to_json_line(r);
  CHECK(contains(line, "\"with_workspace\":{\"schedule\":\"gpu threads=256 rows=1 blocks=2 split=workspace"));
  CHECK(parse_table_record(line).ranges == r.ranges);
  CHECK(!r.ranges[0].same_launches(r.ranges[1]));
  r.ranges[1].with_workspace = MeasuredSchedule{split, 2.5};
  CHECK(r.ranges[0].same_launches(r.ranges[1]));

  r.ranges[1].schedule = split;
  CHECK(contains(error_of(to_json_line(r)), "needs a workspace: its place is \"with_workspace\""));
  r.ranges[1].schedule = plain;
  r.ranges[1].with_workspace->schedule = plain;
  CHECK(contains(error_of(to_json_line(r)), "needs no workspace"));
  CHECK(contains(error_of(replaced(line, "\"with_workspace\":{\"schedule\"", "\"with_workspace\":{\"plan\"")), "\"with_workspace\" has no key \"schedule\""));
}

TEST_CASE("the time of the fastest of any fold is kept where it was measured") {
  TableRecord r = record();
  CHECK_FALSE(contains(to_json_line(r), "any_fold"));
  r.ranges[0].any_fold_microseconds = 1.125;
  const std::string line = to_json_line(r);
  CHECK(contains(line, "\"any_fold_microseconds\":1.125"));
  CHECK(parse_table_record(line).ranges == r.ranges);
  CHECK(contains(error_of(replaced(line, "\"any_fold_microseconds\":1.125", "\"any_fold_microseconds\":-1")), "not a number of at least 0"));
}

TEST_CASE("bad lines are skipped with their place, good ones are read") {
  TuningTable table;
  table.read_text("made.jsonl",
                  "\n" + to_json_line(record()) + "\nnonsense\n  \r\n" + to_json_line(record(8192)));
  REQUIRE(table.records().size() == 2);
  CHECK(table.records()[0].origin == "made.jsonl:2");
  CHECK(table.records()[1].origin == "made.jsonl:5");
  REQUIRE(table.warnings().size() == 1);
  CHECK(table.warnings()[0] == "made.jsonl:3: skipped: tuning record: not JSON");
}

TEST_CASE("find compares Spec, Fold and device; the later record wins") {
  TuningTable table;
  table.add(record(4096, 1));
  table.add(record(8192, 2));
  table.add(record(4096, 3));
  REQUIRE(table.find(spec, fold, device) != nullptr);
  CHECK(table.find(spec, fold, device)->ranges[0].microseconds == 3);
  CHECK(table.find(rms_norm({.n = 4096, .weight = false}), fold, device) == nullptr);
  CHECK(table.find(rms_norm({.n = 2048}), default_fold(rms_norm({.n = 2048})), device) == nullptr);
  CHECK(table.find(spec, Fold{.leaf = 8, .lanes = 32, .segments = 1}, device) == nullptr);
  CHECK(table.find(spec, fold, *traits_of_arch("sm_100")) == nullptr);

  DeviceTraits other = device;
  other.l2_bytes /= 2;  // another driver or partition says so
  other.shared_per_block -= 1024;
  CHECK(table.find(spec, fold, other) != nullptr);
  other.multiprocessors = 114;
  CHECK(table.find(spec, fold, other) == nullptr);
  other = device;
  other.name = "H200";
  CHECK(table.find(spec, fold, other) == nullptr);
}

TEST_CASE(
    "a Spec that differs in constants alone has the same schedules, unless it has a record of its own") {
  const Spec other = rms_norm({.n = 4096, .eps = 1e-5f});
  TuningTable table;
  table.add(record(4096, 1));
  REQUIRE(table.find(other, fold, device) != nullptr);
  CHECK(table.find(other, fold, device)->ranges[0].microseconds == 1);
  TableRecord own = record(4096, 2);
  own.spec = text(other);
  table.add(own);
  table.add(record(4096, 3));
  CHECK(table.find(other, fold, device)->ranges[0].microseconds == 2);
  CHECK(table.find(spec, fold, device)->ranges[0].microseconds == 3);
}

TEST_CASE("written tables hold one record for each key, in order, and read back") {
  const TemporaryFolder folder;
  TuningTable table;
  table.add(record(8192, 1));
  table.add(record(4096, 2));
  table.add(record(8192, 3));
  table.write(folder / "t.jsonl");
  TuningTable back;
  back.read(folder / "t.jsonl");
  CHECK(back.warnings().empty());
  REQUIRE(back.records().size() == 2);
  CHECK(back.records()[0].spec == record(4096).spec);
  CHECK(back.records()[1].ranges[0].microseconds == 3);
  CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 1);

  back = TuningTable();
  std::ofstream(folder / "a.jsonl") << to_json_line(record(2048)) << "\n";
  std::ofstream(folder / "notes.txt") << "not a table\n";
  back.read(folder.path());
  REQUIRE(back.records().size() == 3);
  CHECK(back.records()[0].origin == folder / "a.jsonl" + ":1");
}

TEST_CASE("a file that cannot be read or written is an error, and nothing is lost") {
  const TemporaryFolder folder;
  TuningTable table;
  CHECK_THROWS_AS(table.read(folder / "missing.jsonl"), UsageError);
  CHECK_THROWS_AS(table.write(folder / "no/such/folder.jsonl"), UsageError);

  const std::string path = folder / "t.jsonl";
  std::ofstream(path) << "precious notes\n";
  CHECK_THROWS_AS(add_to_table_file(path, record()), UsageError);
  std::ifstream file(path);
  std::string content;
  std::getline(file, content);
  CHECK(content == "precious notes");
}

TEST_CASE("a table that breaks off while it is read is an error, not a shorter table") {
  TuningTable table;
  CHECK_THROWS_AS(table.read("/proc/self/mem"), UsageError);
  CHECK(table.records().empty());
}

TEST_CASE("a table behind a link is added to where it is, and keeps its mode") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "real");
  add_to_table_file(folder / "real/t.jsonl", record(4096));
  fs::permissions(folder / "real/t.jsonl", fs::perms(0600));
  fs::create_symlink("real/t.jsonl", folder / "t.jsonl");
  add_to_table_file(folder / "t.jsonl", record(8192));
  CHECK(fs::is_symlink(folder / "t.jsonl"));
  CHECK(fs::status(folder / "real/t.jsonl").permissions() == fs::perms(0600));
  TuningTable table;
  table.read(folder / "real/t.jsonl");
  CHECK(table.records().size() == 2);
}

TEST_CASE("text that is not UTF-8 makes a record that can be read") {
  TableRecord r = record();
  r.environment = "driver \xff of \xc3";
  const TableRecord back = parse_table_record(to_json_line(r));
  CHECK(back.environment == "driver \uFFFD of \uFFFD");
  CHECK(back.ranges == r.ranges);
}

TEST_CASE("many writers of one table file lose no record") {
  const TemporaryFolder folder;
  const std::string path = folder / "t.jsonl";
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      for (int k = 1; k <= 8; ++k) add_to_table_file(path, record(64 * (8 * i + k)));
    });
  threads.clear();
  TuningTable table;
  table.read(path);
  CHECK(table.warnings().empty());
  CHECK(table.records().size() == 64);
}

TEST_CASE("boundaries lie in the geometric middle, above the smaller count and at most at the larger") {
  CHECK(boundary_between(1, 2) == 2);
  CHECK(boundary_between(1, 8) == 3);
  CHECK(boundary_between(8, 32) == 16);
  CHECK(boundary_between(1024, 2048) == 1449);
  CHECK(boundary_between(100, 101) == 101);
}

TEST_CASE("every record that comes with the library is one, for the default fold and in its only place") {
  TuningTable table;
  table.read(ISOFOLD_TABLES_FOLDER);
  for (const std::string& warning : table.warnings()) FAIL_CHECK(warning);
  std::set<std::string> keys;
  for (const TableRecord& record : table.records()) {
    INFO(record.origin);
    CHECK(record.fold == text(default_fold(parse_spec(record.spec))));
    CHECK(keys.insert(record.spec + record.device).second);
  }
}
