// Reading whole files, replacing them in one step, and waiting for locks.
#include "files.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <isofold/error.hpp>
#include <thread>
#include <vector>

#include "cache_fixture.hpp"

using namespace isofold;
using isofold::testing::in_child;
using isofold::testing::start_child;
using isofold::testing::TemporaryFolder;
using isofold::testing::wait_for;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(lstat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

}  // namespace

TEST_CASE("a descriptor or a lock that is assigned to gives up what it had at once") {
  const TemporaryFolder folder;
  FileDescriptor first(open(folder.path().c_str(), O_RDONLY | O_CLOEXEC));
  FileDescriptor second(open(folder.path().c_str(), O_RDONLY | O_CLOEXEC));
  const int old = first.get();
  first = std::move(second);
  CHECK(fcntl(old, F_GETFD) == -1);
  CHECK_FALSE(second);
  CHECK(first);

  FileLock a(folder / "a.lock", "test");
  FileLock b(folder / "b.lock", "test");
  a = std::move(b);
  CHECK(a.held());
  CHECK_FALSE(b.held());
  CHECK(FileLock(folder / "a.lock", "test", 0ms).held());
  CHECK_THROWS_AS(FileLock(folder / "b.lock", "test", 0ms), UsageError);
}

TEST_CASE("files of every kind are read to their end") {
  const TemporaryFolder folder;
  for (const std::size_t size : {0, 1, 4095, 4096, 4097, 100'000}) {
    std::string bytes(size, 'x');
    if (size > 2) bytes[2] = '\0';
    write_file_atomically(folder / "file", bytes, "test");
    CHECK(read_file(folder / "file", "test") == bytes);
  }
  CHECK(read_file("/proc/self/status", "test").find("\nPid:") != std::string::npos);  // of size 0, says fstat

  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const FileDescriptor out(ends[0]);
  {
    const FileDescriptor in(ends[1]);
    REQUIRE(write_whole(in.get(), std::string(10'000, 'y')));
  }
  CHECK(read_whole(out.get()) == std::string(10'000, 'y'));
}

TEST_CASE("what cannot be read is an error, not an empty file") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(read_file(folder / "missing", "tuning table"),
                       doctest::Contains(("tuning table: cannot read " + (folder / "missing")).c_str()),
                       UsageError);
  CHECK_THROWS_WITH_AS(read_file(folder.path(), "test"), doctest::Contains("cannot read"), UsageError);
  CHECK_THROWS_WITH_AS(read_file("/proc/self/mem", "test"), doctest::Contains("cannot read"), UsageError);
}

TEST_CASE("a new file follows the umask, a replaced one keeps its mode, nothing is left beside it") {
  const TemporaryFolder folder;
  const std::string path = folder / "file";
  const mode_t mask = umask(027);
  write_file_atomically(path, "new", "test");
  CHECK(mode_of(path) == 0640);
  for (const mode_t mode : {0600, 0664, 0444}) {
    REQUIRE(chmod(path.c_str(), mode) == 0);
    write_file_atomically(path, "replaced", "test");
    CHECK(mode_of(path) == mode);
  }
  umask(mask);
  CHECK(read_file(path, "test") == "replaced");
  CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("links stay and their target is replaced, in its own folder") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "real");
  write_file_atomically(folder / "real/table", "old", "test");
  fs::create_symlink("real/table", folder / "link");
  fs::create_symlink(folder / "link", folder / "link to the link");
  write_file_atomically(folder / "link to the link", "new", "test");
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(fs::is_symlink(folder / "link to the link"));
  CHECK(read_file(folder / "real/table", "test") == "new");
  CHECK(resolve_links(folder / "link to the link", "test") == folder / "real/table");

  fs::create_symlink("real/missing", folder / "dangling");
  write_file_atomically(folder / "dangling", "made", "test");
  CHECK(read_file(folder / "real/missing", "test") == "made");

  fs::create_symlink("round", folder / "round");
  CHECK_THROWS_AS(write_file_atomically(folder / "round", "x", "test"), UsageError);
}

TEST_CASE("what is no file is not replaced, and a failure leaves the old content and nothing else") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(write_file_atomically(folder.path(), "x", "test"),
                       doctest::Contains("it is not a regular file"), UsageError);
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS_AS(write_file_atomically(folder / "pipe", "x", "test"), UsageError);
  CHECK_THROWS_AS(write_file_atomically(folder / "no/such/folder", "x", "test"), UsageError);

  REQUIRE(chmod(folder.path().c_str(), 0755) == 0);
  fs::create_directory(folder / "fixed");
  write_file_atomically(folder / "fixed/file", "old", "test");
  const int code = in_child([&] {
    if (!isofold::testing::become_ordinary(folder / "fixed")) return 1;
    if (chmod((folder / "fixed").c_str(), 0500) != 0) return 2;
    try {
      write_file_atomically(folder / "fixed/file", "new", "test");
    } catch (const UsageError&) {
      return 0;
    }
    return 3;
  });
  CHECK(code == 0);
  REQUIRE(chmod((folder / "fixed").c_str(), 0700) == 0);
  CHECK(read_file(folder / "fixed/file", "test") == "old");
  CHECK(std::distance(fs::directory_iterator(folder / "fixed"), {}) == 1);
}

TEST_CASE("threads that write one file at once: it is the whole of one of them") {
  const TemporaryFolder folder;
  {
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < 4; ++writer)
      writers.emplace_back([&, writer] {
        const std::string content(200'000, static_cast<char>('a' + writer));
        for (int i = 0; i < 20; ++i) write_file_atomically(folder / "file", content, "test");
      });
  }
  const std::string content = read_file(folder / "file", "test");
  CHECK(content == std::string(200'000, content.at(0)));
  CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("a lock is waited for no longer than asked, and is free although a child has a copy of it") {
  const TemporaryFolder folder;
  FileLock lock(folder / "lock", "test");
  CHECK_THROWS_WITH_AS(FileLock(folder / "lock", "tuning table", 20ms),
                       doctest::Contains("tuning table: another process has held the lock"), UsageError);
  int wake[2];
  REQUIRE(pipe(wake) == 0);
  const pid_t child = start_child([&] {
    close(wake[1]);
    char byte = 0;
    return read(wake[0], &byte, 1) == 0 ? 0 : 1;
  });
  lock = FileLock();
  CHECK(FileLock(folder / "lock", "test", 0ms).held());
  close(wake[1]);
  close(wake[0]);
  CHECK(wait_for(child) == 0);
}
