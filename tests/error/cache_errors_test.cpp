// Caches and tables that are damaged, foreign or cannot be written: other speed, never other bits.
#include <isofold/codegen/interpreter.hpp>
#include <isofold/isofold.hpp>
#include <isofold/tuning_table.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache_fixture.hpp"
#include "files.hpp"
#include "runtime_impl.hpp"
#include "support/call.hpp"
#include "support/error_text.hpp"
#include "support/temporary_folder.hpp"

using namespace isofold;
using namespace isofold::testing;

namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() { setenv("ISOFOLD_LOG", "off", 1); }
  ~Folder() { chmod(path.c_str(), 0700); }
  TemporaryFolder whole;
  fs::path path = whole.path();
};

/// What is written to stderr while it lives: the runtime's warnings.
class Warnings {
 public:
  explicit Warnings(const fs::path& file) : saved_(dup(STDERR_FILENO)) {
    setenv("ISOFOLD_LOG", "warning", 1);
    const FileDescriptor opened(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    REQUIRE(dup2(opened.get(), STDERR_FILENO) == STDERR_FILENO);
    reader_ = FileDescriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  }
  ~Warnings() {
    dup2(saved_.get(), STDERR_FILENO);
    setenv("ISOFOLD_LOG", "off", 1);
  }
  std::string text() const {
    lseek(reader_.get(), 0, SEEK_SET);
    return read_whole(reader_.get()).value();
  }

 private:
  FileDescriptor saved_, reader_;
};

Runtime open(const fs::path& cache, std::vector<std::string> tables = {}) {
  return Runtime({.device = "cpu", .cache_folder = cache.string(), .tables = std::move(tables)});
}

/// What is wrong with a launch, "" for nothing.
std::string launch(const Runtime& runtime, std::int64_t n = 100) {
  const Operator op = runtime.rms_norm({.n = n, .residual = true});
  Call call(op.spec(), op.fold(), {.tokens = 12});
  std::vector<ConstTensor> inputs;
  std::vector<MutableTensor> outputs;
  for (HostTensor& tensor : call.inputs()) inputs.push_back({tensor.data()});
  for (HostTensor& tensor : call.outputs()) outputs.push_back({tensor.data()});
  op.launch(nullptr, inputs, outputs, call.tokens());
  return call.fault();
}

std::vector<fs::path> entries(const fs::path& cache) {
  std::vector<fs::path> files;
  for (const auto& file : fs::directory_iterator(cache / "entries")) files.push_back(file.path());
  return files;
}

TableRecord record_for(const Runtime& runtime, std::int64_t n, const Schedule& schedule) {
  const Spec spec = rms_norm({.n = n});
  return {.spec = text(spec),
          .fold = text(default_fold(spec)),
          .device = text(runtime.device()),
          .environment = "test",
          .ranges = {{1, schedule, 1.0, 1}},
          .origin = {}};
}

}  // namespace

TEST_CASE("damaged and foreign cache entries are compiled again") {
  const Folder folder;
  CHECK(launch(open(folder.path)) == "");
  CHECK(launch(open(folder.path), 200) == "");
  const std::vector<fs::path> files = entries(folder.path);
  REQUIRE(files.size() == 3);  // two kernels and the numerics probe
  SUBCASE("cut short") {
    for (const fs::path& file : files) fs::resize_file(file, fs::file_size(file) / 2);
  }
  SUBCASE("flipped") {
    for (const fs::path& file : files) {
      std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
      stream.seekg(static_cast<std::streamoff>(fs::file_size(file) / 2));
      const int byte = stream.get();
      stream.seekp(static_cast<std::streamoff>(fs::file_size(file) / 2));
      stream.put(static_cast<char>(byte ^ 0x10));
    }
  }
  SUBCASE("each in the place of the next") {
    fs::rename(files[0], folder.path / "spare");
    fs::rename(files[1], files[0]);
    fs::rename(files[2], files[1]);
    fs::rename(folder.path / "spare", files[2]);
  }
  SUBCASE("something else") {
    for (const fs::path& file : files) std::ofstream(file, std::ios::trunc) << "#!/bin/sh\n";
  }
  CHECK(launch(open(folder.path)) == "");
  CHECK(launch(open(folder.path), 200) == "");
  CHECK(open(folder.path).impl()->disk().verify().empty());  // and replaced
}

TEST_CASE("a cache that is not safe is no cache, and the warning says why") {
  const Folder folder;
  const fs::path cache = folder.path / "cache";
  std::string reason;
  SUBCASE("a file is in its place") {
    std::ofstream(cache) << "occupied\n";
    reason = "it is a symbolic link or not a folder";
  }
  SUBCASE("others may write to it") {
    fs::create_directory(cache);
    chmod(cache.c_str(), 0777);
    reason = "others may write to it (mode 777; 700 is needed)";
  }
  SUBCASE("a link") {
    fs::create_directory(folder.path / "elsewhere");
    fs::create_directory_symlink(folder.path / "elsewhere", cache);
    reason = "it is a symbolic link or not a folder";
  }
  std::string words;
  std::optional<Runtime> runtime;
  {
    const Warnings warnings(folder.path / "warnings");
    runtime.emplace(open(cache));
    words = warnings.text();
  }
  CHECK(words == "isofold: warning: the disk cache " + cache.string() +
                     " cannot be used, kernels are kept in memory only: " + reason + "\n");
  CHECK_FALSE(runtime->impl()->disk().usable());
  CHECK(runtime->impl()->user_table_file() == "");
  CHECK(launch(*runtime) == "");
}

#if !defined(__SANITIZE_THREAD__)  // which allows no threads after a fork
TEST_CASE("a read-only cache is read, what is new stays in memory, and one warning says so") {
  const Folder folder;
  chmod(folder.path.c_str(), 0755);
  const fs::path cache = folder.path / "cache";
  CHECK(launch(open(cache)) == "");
  const std::size_t stored = entries(cache).size();
  const Warnings warnings(folder.path / "warnings");
  const int code = in_child([&] {
    if (!become_ordinary(cache.string())) return 1;
    for (const char* part : {"entries", "locks", "tmp", ""})
      if (chmod((cache / part).c_str(), 0500) != 0) return 2;
    const Runtime runtime = open(cache);
    if (!runtime.impl()->disk().usable()) return 3;
    if (launch(runtime) != "" || !warnings.text().empty()) return 4;  // found, nothing to store
    if (launch(runtime, 200) != "") return 5;
    return entries(cache).size() == stored ? 0 : 6;
  });
  CHECK(code == 0);
  const std::string words = warnings.text();
  const std::string first = "isofold: warning: the disk cache " + cache.string() +
                            " cannot be written, new kernels are kept in memory only: ";
  CHECK(words.starts_with(first));
  CHECK(words.find('\n') == words.size() - 1);
  chmod(cache.c_str(), 0700);
}
#endif

TEST_CASE("tables") {
  const Folder folder;
  const Runtime plain = open(folder.path / "cache");
  const std::string path = (folder.path / "table.jsonl").string();
  const TableRecord good = record_for(plain, 100, CpuSchedule{.width = 4, .streaming = true});
  TableRecord foreign = good;
  foreign.device = text(*traits_of_arch("sm_90"));
  foreign.ranges[0].schedule = GpuSchedule{.threads_per_row = 4, .rows_per_block = 32};

  CHECK(contains(usage_error([&] { open(folder.path / "cache", {path}); }), "cannot read " + path));

  SUBCASE("a good record is used") {
    std::ofstream(path) << to_json_line(good) << "\n";
    const Runtime runtime = open(folder.path / "cache", {path});
    const Choice choice = runtime.rms_norm({.n = 100}).choice(5);
    CHECK(choice.schedule == "cpu width=4 memory=streaming");
    CHECK(choice.origin == "table " + path + ":1");
    CHECK(launch(runtime) == "");
  }
  SUBCASE("what is damaged or foreign is not, and nothing breaks") {
    std::string damaged = to_json_line(good);
    damaged.replace(damaged.find("width=4"), 7, "width=5");
    std::ofstream(path) << damaged << "\n\0\xff\n{\"spec\":\n"
                        << to_json_line(foreign) << "\n"
                        << to_json_line(good).substr(9) << "\n";
    const Runtime runtime = open(folder.path / "cache", {path});
    CHECK(runtime.rms_norm({.n = 100}).choice(5).origin == "cost model");
    CHECK(launch(runtime) == "");
  }
  SUBCASE("a record for hardware that the device lacks is not used") {
    TableRecord wide = good;
    DeviceTraits other = plain.device();
    other.features = "+all";
    wide.device = text(other);
    wide.ranges[0].schedule = CpuSchedule{.width = 16};
    std::ofstream(path) << to_json_line(wide) << "\n";
    const Runtime runtime = open(folder.path / "cache", {path});
    CHECK(launch(runtime) == "");
  }
}

TEST_CASE(
    "what tune wrote for this machine is read from the cache folder, after the tables that are built in") {
  const Folder folder;
  std::string file;
  {
    const Runtime runtime = open(folder.path);
    file = runtime.impl()->user_table_file();
    REQUIRE(file.starts_with(folder.path.string() + "/tables/"));
    fs::create_directories(fs::path(file).parent_path());
    add_to_table_file(file, record_for(runtime, 100, CpuSchedule{.width = 4}));
  }
  CHECK(open(folder.path).rms_norm({.n = 100}).choice(1).origin == "table " + file + ":1");
}
