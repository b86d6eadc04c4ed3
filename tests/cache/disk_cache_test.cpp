// What one process sees: entries come back whole or not at all, and folders that cannot be trusted are
// refused.
#include "disk_cache.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <utime.h>

#include <chrono>
#include <csignal>
#include <ctime>
#include <thread>

#include "cache_fixture.hpp"

using namespace isofold;
using namespace isofold::testing;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

TEST_CASE("an entry comes back as it was stored, from this object and from another") {
  const TemporaryFolder folder;
  KeptLog kept;
  DiskCache cache(folder / "a/b/cache", kept.log);
  REQUIRE(cache.usable());
  CHECK_FALSE(cache.load("key"));
  CacheEntry entry = entry_of("key", 100'000);
  entry.key_text = std::string("zero \0 and newline\n", 19);
  CHECK(cache.store(entry));
  CHECK(cache.load(entry.key_text) == entry);
  CHECK(DiskCache(folder / "a/b/cache/", kept.log).load(entry.key_text) == entry);
  entry.metadata = "replaced";
  CHECK(cache.store(entry));
  CHECK(cache.load(entry.key_text) == entry);
  CHECK(*cache.load(entry.key_text)->section("empty") == "");
  CHECK(cache.load(entry.key_text)->section("absent") == nullptr);
  CHECK(cache.store(CacheEntry{}));
  CHECK(cache.load("") == CacheEntry{});
  CHECK(kept.all() == "");
  for (const char* part : {"", "/entries", "/locks", "/tmp"}) {
    struct stat status {};
    REQUIRE(stat((folder / "a/b/cache" + part).c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
  }
  CHECK(fs::is_empty(folder / "a/b/cache/tmp"));
}

TEST_CASE("a file cut at any length is a miss, and is replaced") {
  const TemporaryFolder folder;
  KeptLog kept;
  DiskCache cache(folder / "cache", kept.log);
  const CacheEntry entry = entry_of("key");
  REQUIRE(cache.store(entry));
  const std::string path = entry_path(folder / "cache", "key");
  const std::string whole = read_file(path);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write_file(path, whole.substr(0, size));
    const bool missed = !cache.load("key").has_value();
    if (!missed) FAIL("loaded when cut to " << size << " bytes");
  }
  CHECK(kept.lines.size() == 1);
  CHECK(kept.all().find("is damaged") != std::string::npos);
  CHECK(cache.store(entry));
  CHECK(cache.load("key") == entry);
  write_file(path, whole + "x");
  CHECK_FALSE(cache.load("key"));
}

TEST_CASE("any flipped bit is a miss") {
  const TemporaryFolder folder;
  KeptLog kept;
  DiskCache cache(folder / "cache", kept.log);
  REQUIRE(cache.store(entry_of("key", 40)));
  const std::string path = entry_path(folder / "cache", "key");
  const std::string whole = read_file(path);
  for (std::size_t byte = 0; byte < whole.size(); ++byte)
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = whole;
      changed[byte] = static_cast<char>(changed[byte] ^ (1 << bit));
      write_file(path, changed);
      if (cache.load("key").has_value()) FAIL("loaded with bit " << bit << " of byte " << byte << " flipped");
    }
  write_file(path, whole);
  CHECK(cache.load("key") == entry_of("key", 40));
}

TEST_CASE("lengths and counts that lie behind a right checksum are refused") {
  const std::string whole = encode(entry_of("key", 40));
  for (std::size_t offset = 8; offset + 40 < whole.size(); ++offset)
    for (const char* value : {"\xff", "\x7f", "\x01"}) {
      std::string changed = whole.substr(0, whole.size() - 32);
      if (changed[offset] == *value) continue;
      changed[offset] = *value;
      const auto decoded = decode(changed + digest(changed));
      if (const CacheEntry* entry = std::get_if<CacheEntry>(&decoded))
        CHECK_FALSE(*entry == entry_of("key", 40));
    }
}

TEST_CASE("an entry of another key under this name, and things that are no files, are misses") {
  const TemporaryFolder folder;
  KeptLog kept;
  DiskCache cache(folder / "cache", kept.log);
  REQUIRE(cache.store(entry_of("other")));
  fs::rename(entry_path(folder / "cache", "other"), entry_path(folder / "cache", "key"));
  CHECK_FALSE(cache.load("key"));
  CHECK(cache.list().at(0).problem == "the name is not the digest of the key");

  fs::remove(entry_path(folder / "cache", "key"));
  write_file(folder / "secret", encode(entry_of("key")));
  fs::create_symlink(folder / "secret", entry_path(folder / "cache", "key"));
  CHECK_FALSE(cache.load("key"));
  CHECK(cache.store(entry_of("key")));
  CHECK(cache.load("key") == entry_of("key"));

  fs::create_directory(entry_path(folder / "cache", "folder"));
  REQUIRE(mkfifo(entry_path(folder / "cache", "pipe").c_str(), 0600) == 0);
  CHECK_FALSE(cache.load("folder"));
  CHECK_FALSE(cache.load("pipe"));
  write_file(folder / "cache/entries/readme.txt", "not ours");
  CHECK(cache.list().size() == 3);
  CHECK(cache.verify().size() == 2);
}

TEST_CASE("list, verify, prune and clear") {
  const TemporaryFolder folder;
  KeptLog kept;
  DiskCache cache(folder / "cache", kept.log);
  const std::time_t now = std::time(nullptr);
  for (int day = 0; day < 5; ++day) {
    const std::string key = "day " + std::to_string(day);
    REQUIRE(cache.store(entry_of(key)));
    const utimbuf times{now - day * 86400, now - day * 86400};
    REQUIRE(utime(entry_path(folder / "cache", key).c_str(), &times) == 0);
  }
  REQUIRE(cache.store(entry_of("damaged")));
  write_file(entry_path(folder / "cache", "damaged"), "damaged");
  const auto infos = cache.list();
  REQUIRE(infos.size() == 6);
  for (const auto& info : infos) {
    const bool damaged = info.digest == digest("damaged");
    CHECK(info.problem == (damaged ? "not a cache entry" : ""));
    CHECK(info.kind == (damaged ? "" : "cuda"));
    CHECK(info.bytes == fs::file_size(folder / "cache/entries/" + info.name));
  }
  CHECK(cache.verify().size() == 1);

  CHECK(cache.load("day 4"));                                             // used now: no longer the oldest
  CHECK(cache.prune({.max_bytes = {}, .unused_for = 60h}).entries == 2);  // day 3 and the damaged one
  CHECK(cache.list().size() == 4);
  const std::uint64_t size = fs::file_size(entry_path(folder / "cache", "day 1"));
  CHECK(cache.prune({.max_bytes = 2 * size, .unused_for = {}}).bytes == 2 * size);
  CHECK(cache.load("day 0"));
  CHECK(cache.load("day 4"));
  CHECK_FALSE(cache.load("day 1"));

  { const auto lock = cache.lock("day 0", 0ms); }
  write_file(folder / "cache/tmp/fresh", "being written");
  write_file(folder / "cache/tmp/stale", "of a process that died");
  const utimbuf long_ago{now - 86400, now - 86400};
  REQUIRE(utime((folder / "cache/tmp/stale").c_str(), &long_ago) == 0);
  CHECK(cache.clear().entries == 2);
  CHECK(cache.list().empty());
  CHECK(fs::exists(folder / "cache/locks/" + digest("day 0") + ".v1"));
  CHECK(fs::exists(folder / "cache/tmp/fresh"));
  CHECK_FALSE(fs::exists(folder / "cache/tmp/stale"));
  CHECK(kept.all() == "");
}

TEST_CASE("entries of another schema are neither read nor damaged, and go by age, by size and with clear") {
  const TemporaryFolder folder;
  KeptLog kept;
  DiskCache cache(folder / "cache", kept.log);
  REQUIRE(cache.store(entry_of("key")));
  const std::string foreign = folder / "cache/entries/" + digest("key") + ".v7";
  const auto make_foreign = [&] { write_file(foreign, "what schema 7 holds"); };
  make_foreign();
  write_file(folder / "cache/entries/" + digest("key"), "of a library that is older than schemas in names");
  CHECK(cache.load("key") == entry_of("key"));
  const auto infos = cache.list();
  REQUIRE(infos.size() == 2);
  CHECK(infos[0].name == digest("key") + ".v1");
  CHECK(infos[1].name == digest("key") + ".v7");
  CHECK(infos[1].digest == digest("key"));
  CHECK(infos[1].metadata == "schema 7, of another version of the library");
  CHECK(infos[1].bytes == 19);
  CHECK(infos[1].problem == "");
  CHECK(cache.verify().empty());
  CHECK(cache.prune({}).entries == 0);
  const utimbuf long_ago{std::time(nullptr) - 86400, std::time(nullptr) - 86400};
  REQUIRE(utime(foreign.c_str(), &long_ago) == 0);
  CHECK(cache.prune({.max_bytes = {}, .unused_for = 1h}).bytes == 19);
  CHECK_FALSE(fs::exists(foreign));
  make_foreign();
  CHECK(cache.clear().entries == 2);
  CHECK_FALSE(fs::exists(foreign));
  CHECK(kept.all() == "");
}

TEST_CASE("a file whose content says another schema than its name is damaged") {
  const TemporaryFolder folder;
  KeptLog kept;
  DiskCache cache(folder / "cache", kept.log);
  std::string bytes = encode(entry_of("key"));
  bytes[8] = 7;
  bytes.resize(bytes.size() - 32);
  write_file(entry_path(folder / "cache", "key"), bytes + digest(bytes));
  CHECK_FALSE(cache.load("key"));
  REQUIRE(cache.verify().size() == 1);
  CHECK(cache.verify()[0].problem == "the schema is not that of its name");
}

TEST_CASE("load_or_build builds once, and again after a failure") {
  const TemporaryFolder folder;
  KeptLog kept;
  DiskCache cache(folder / "cache", kept.log);
  int builds = 0;
  CHECK_THROWS_WITH(
      cache.load_or_build("key", [&]() -> CacheEntry { throw std::runtime_error("no compiler"); }),
      "no compiler");
  const auto build = [&] { return ++builds, entry_of("key"); };
  CHECK(cache.load_or_build("key", build) == entry_of("key"));
  CHECK(cache.load_or_build("key", build) == entry_of("key"));
  CHECK(builds == 1);
  CHECK(cache.lock("key", 0ms).held());
}

TEST_CASE("no folder is memory only, in silence") {
  KeptLog kept;
  DiskCache cache(std::nullopt, kept.log);
  CHECK_FALSE(cache.usable());
  CHECK_FALSE(cache.store(entry_of("key")));
  CHECK_FALSE(cache.load("key"));
  CHECK_FALSE(cache.lock("key", 1h).held());
  CHECK(cache.list().empty());
  CHECK(cache.clear().entries == 0);
  CHECK(cache.load_or_build("key", [] { return entry_of("key"); }) == entry_of("key"));
  CHECK(kept.all() == "");
}

TEST_CASE("a folder that cannot be trusted or made is refused with one warning") {
  const TemporaryFolder folder;
  const std::string path = folder / "cache";
  std::string expected;
  SUBCASE("a symbolic link") {
    fs::create_directory(folder / "real");
    fs::create_directory_symlink(folder / "real", path);
    expected = "it is a symbolic link or not a folder";
  }
  SUBCASE("a file") {
    write_file(path, "");
    expected = "it is a symbolic link or not a folder";
  }
  SUBCASE("writable by the group") {
    fs::create_directory(path);
    REQUIRE(chmod(path.c_str(), 0770) == 0);
    expected = "others may write to it (mode 770; 700 is needed)";
  }
  SUBCASE("writable by everyone") {
    fs::create_directory(path);
    REQUIRE(chmod(path.c_str(), 01777) == 0);
    expected = "others may write to it (mode 1777; 700 is needed)";
  }
  SUBCASE("of another user") {
    fs::create_directory(path);
    if (chown(path.c_str(), 65534, 65534) != 0) {
      MESSAGE("skipped: only root can give a folder away");
      return;
    }
    expected = "it belongs to user 65534";
  }
  SUBCASE("below a file") {
    write_file(folder / "file", "");
    KeptLog kept;
    DiskCache cache(folder / "file/cache", kept.log);
    CHECK_FALSE(cache.usable());
    CHECK(kept.lines.size() == 1);
    return;
  }
  SUBCASE("with a folder inside that is a symbolic link") {
    fs::create_directory(path);
    REQUIRE(chmod(path.c_str(), 0700) == 0);
    fs::create_directory(folder / "real");
    fs::create_directory_symlink(folder / "real", path + "/entries");
    expected = "entries: it is a symbolic link or not a folder";
  }
  KeptLog kept;
  DiskCache cache(path, kept.log);
  CHECK_FALSE(cache.usable());
  CHECK_FALSE(cache.store(entry_of("key")));
  CHECK_FALSE(cache.load("key"));
  REQUIRE(kept.lines.size() == 1);
  CHECK(kept.lines[0].find("cannot be used, kernels are kept in memory only: ") != std::string::npos);
  CHECK(kept.lines[0].find(expected) != std::string::npos);
  CHECK(kept.lines[0].find(path) != std::string::npos);
}

TEST_CASE("a read-only cache is read; a store into it is refused with one warning") {
  const TemporaryFolder folder;
  REQUIRE(chmod(folder.path().c_str(), 0755) == 0);
  const std::string path = folder / "cache";
  const int code = in_child([&] {
    KeptLog kept;
    if (!DiskCache(path, kept.log).store(entry_of("old"))) return 1;
    if (!become_ordinary(path)) return 2;
    for (const char* part : {"/entries", "/locks", "/tmp", ""})
      if (chmod((path + part).c_str(), 0500) != 0) return 3;
    DiskCache cache(path, kept.log);
    if (!cache.usable() || cache.load("old") != entry_of("old")) return 4;
    if (cache.store(entry_of("new")) || cache.store(entry_of("newer"))) return 5;
    if (cache.lock("new", 1h).held()) return 6;
    int builds = 0;
    if (cache.load_or_build("new", [&] { return ++builds, entry_of("new"); }) != entry_of("new")) return 7;
    if (builds != 1 || kept.lines.size() != 1) return 8;
    if (kept.all().find("cannot be written, new kernels are kept in memory only: ") == std::string::npos)
      return 10;
    return cache.clear().entries == 0 && cache.list().size() == 1 ? 0 : 9;
  });
  chmod(path.c_str(), 0700);
  CHECK(code == 0);
}

TEST_CASE("a read-only cache without the folders that only writers need is read, with one warning") {
  const TemporaryFolder folder;
  REQUIRE(chmod(folder.path().c_str(), 0755) == 0);
  const std::string path = folder / "cache";
  const int code = in_child([&] {
    KeptLog kept;
    if (!DiskCache(path, kept.log).store(entry_of("old"))) return 1;
    fs::remove_all(path + "/locks");
    fs::remove_all(path + "/tmp");
    if (!become_ordinary(path)) return 2;
    for (const char* part : {"/entries", ""})
      if (chmod((path + part).c_str(), 0500) != 0) return 3;
    DiskCache cache(path, kept.log);
    if (!cache.usable() || cache.load("old") != entry_of("old")) return 4;
    if (cache.store(entry_of("new")) || cache.lock("new", 1h).held()) return 5;
    if (kept.lines.size() != 1) return 6;
    return kept.all().find("cannot be written, new kernels") != std::string::npos ? 0 : 7;
  });
  chmod(path.c_str(), 0700);
  CHECK(code == 0);
}

TEST_CASE("one entry that cannot be stored leaves the cache as it is") {
  const TemporaryFolder folder;
  KeptLog kept;
  DiskCache cache(folder / "cache", kept.log);
  fs::create_directory(entry_path(folder / "cache", "key"));
  CHECK_FALSE(cache.store(entry_of("key")));
  REQUIRE(kept.lines.size() == 1);
  CHECK(kept.lines[0].find("entries/" + digest("key") + ".v1 cannot be stored: ") != std::string::npos);
  CHECK(kept.lines[0].find("in memory only") == std::string::npos);
  CHECK(cache.store(entry_of("another key")));
  CHECK(fs::is_empty(folder / "cache/tmp"));
}

TEST_CASE("an unwritable parent means memory only") {
  const TemporaryFolder folder;
  const int code = in_child([&] {
    if (!become_ordinary(folder.path())) return 2;
    if (chmod(folder.path().c_str(), 0500) != 0) return 3;
    KeptLog kept;
    DiskCache cache(folder / "deep/cache", kept.log);
    return !cache.usable() && kept.lines.size() == 1 ? 0 : 4;
  });
  CHECK(code == 0);
}

namespace {

/// Stores until the disk is full, and checks what a full disk may do. Exit code 0 when all is right.
int fill_the_disk(const std::string& path) {
  KeptLog kept;
  DiskCache cache(path, kept.log);
  if (!cache.store(entry_of("first", 1000))) return 1;
  int stored = 0;
  while (stored < 1000 && cache.store(entry_of("key " + std::to_string(stored), 40'000))) ++stored;
  if (stored == 1000) return 2;
  if (cache.store(entry_of("large", 900'000))) return 3;
  if (kept.lines.size() != 1) return 4;
  if (kept.all().find("cannot be stored") == std::string::npos) return 5;
  if (cache.load("first") != entry_of("first", 1000)) return 6;
  for (int index = 0; index < stored; ++index)
    if (!cache.load("key " + std::to_string(index))) return 7;
  if (!cache.verify().empty() || !fs::is_empty(path + "/tmp")) return 8;
  int builds = 0;
  const auto build = [&] { return ++builds, entry_of("large", 900'000); };
  if (cache.load_or_build("large", build) != entry_of("large", 900'000) || builds != 1) return 9;
  return 0;
}

}  // namespace

TEST_CASE("a full disk: what was stored stays, the rest is built, nothing is left over") {
  const TemporaryFolder folder;
  const std::string mounted = folder / "disk";
  fs::create_directory(mounted);
  if (mount("isofold", mounted.c_str(), "tmpfs", 0, "size=512k,mode=700") != 0) {
    MESSAGE("skipped: a small disk cannot be mounted here (that needs root)");
    return;
  }
  const int code = in_child([&] { return fill_the_disk(mounted + "/cache"); });
  REQUIRE(umount(mounted.c_str()) == 0);
  CHECK(code == 0);
}

TEST_CASE("a limit on the size of files is like a full disk") {
  const TemporaryFolder folder;
  const int code = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{30'000, 30'000};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 10;
    return fill_the_disk(folder / "cache");
  });
  CHECK(code == 0);
}

TEST_CASE("a holder that never releases is waited for no longer than asked") {
  const TemporaryFolder folder;
  KeptLog kept;
  DiskCache cache(folder / "cache", kept.log);
  const auto holder = cache.lock("key", 0ms);
  REQUIRE(holder.held());
  CHECK_FALSE(cache.lock("key", 0ms).held());
  CHECK_FALSE(cache.lock("key", 30ms).held());
  CHECK(cache.lock("another key", 0ms).held());
  int builds = 0;
  const auto build = [&] { return ++builds, entry_of("key"); };
  CHECK(cache.load_or_build("key", build, 30ms) == entry_of("key"));
  CHECK(builds == 1);
  CHECK(cache.load("key") == entry_of("key"));
  CHECK(kept.all() == "");
}

TEST_CASE("a released lock is free at once, also while a forked child has a copy of its descriptor") {
  const TemporaryFolder folder;
  KeptLog kept;
  DiskCache cache(folder / "cache", kept.log);
  int wake[2];
  REQUIRE(pipe(wake) == 0);
  auto lock = cache.lock("key", 0ms);
  REQUIRE(lock.held());
  const pid_t child = start_child([&] {
    close(wake[1]);
    char byte = 0;
    return read(wake[0], &byte, 1) == 0 ? 0 : 1;
  });
  lock = DiskCache::Lock();
  CHECK(cache.lock("key", 0ms).held());
  close(wake[1]);
  close(wake[0]);
  CHECK(wait_for(child) == 0);
}
