// Many processes and threads on one cache, and processes that are killed at any moment.
#include <doctest/doctest.h>
#include <fcntl.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include "cache_fixture.hpp"
#include "memory_cache.hpp"

using namespace isofold;
using namespace isofold::testing;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr int processes = 16;
constexpr int threads = 8;
constexpr int keys = 6;

std::string key_name(int index) { return "key " + std::to_string(index); }

/// One more byte in the file `counter`, which counts builds over all processes.
void count_build(const std::string& counter) {
  const FileDescriptor file(open(counter.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!file || write(file.get(), "x", 1) != 1) throw std::runtime_error("the counter cannot be written");
}

/// What an application does: threads behind a memory cache over the disk cache. 0 when every value was right.
int use_cache(const std::string& folder, const std::string& counter) {
  KeptLog kept;
  DiskCache disk(folder, kept.log);
  MemoryCache<const CacheEntry> memory;
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> workers;
    for (int thread = 0; thread < threads; ++thread)
      workers.emplace_back([&, thread] {
        for (int step = 0; step < keys; ++step) {
          const std::string key = key_name((step + thread) % keys);
          const auto entry = memory.get_or_build(key, [&] {
            return std::make_shared<const CacheEntry>(disk.load_or_build(key, [&] {
              count_build(counter);
              std::this_thread::sleep_for(5ms);
              return entry_of(key, 20'000);
            }));
          });
          if (*entry != entry_of(key, 20'000)) ++wrong;
        }
      });
  }
  if (wrong != 0) return 1;
  return kept.lines.empty() ? 0 : 2;
}

}  // namespace

TEST_CASE("16 processes of 8 threads on one cold cache: the right entries, one build for each key") {
  const TemporaryFolder folder;
  std::vector<pid_t> children;
  for (int index = 0; index < processes; ++index)
    children.push_back(start_child([&] { return use_cache(folder / "cache", folder / "builds"); }));
  for (const pid_t child : children) CHECK(wait_for(child) == 0);
  CHECK(fs::file_size(folder / "builds") == keys);
  KeptLog kept;
  DiskCache cache(folder / "cache", kept.log);
  CHECK(cache.list().size() == keys);
  CHECK(cache.verify().empty());
  CHECK(fs::is_empty(folder / "cache/tmp"));
}

TEST_CASE("kill -9 at any moment of a store: an entry is there and whole, or not there") {
  const TemporaryFolder folder;
  KeptLog kept;
  DiskCache cache(folder / "cache", kept.log);
  int loaded = 0;
  // Where a child needs longer than that to store anything, later ones have more time.
  for (int round = 0, slower = 1; round < 120 || (loaded == 0 && slower < 64); ++round) {
    if (round % 40 == 39 && loaded == 0) slower *= 2;
    const pid_t child = start_child([&] {
      KeptLog child_log;
      DiskCache child_cache(folder / "cache", child_log.log);
      for (int index = 0;; ++index) {
        const std::string key = key_name(index % keys);
        const auto lock = child_cache.lock(key, 1s);
        child_cache.store(entry_of(key, 50'000));
      }
      return 0;
    });
    std::this_thread::sleep_for(slower * std::chrono::microseconds(300 + 173 * (round % 40)));
    kill(child, SIGKILL);
    REQUIRE(wait_for(child) == -SIGKILL);
    for (int index = 0; index < keys; ++index)
      if (const auto entry = cache.load(key_name(index))) {
        ++loaded;
        REQUIRE(*entry == entry_of(key_name(index), 50'000));
      }
    for (int index = 0; index < keys; ++index) REQUIRE(cache.lock(key_name(index), 0ms).held());
  }
  CHECK(loaded > 0);
  CHECK(cache.verify().empty());
  CHECK(kept.all() == "");
}

TEST_CASE("readers beside a writer that replaces and a process that clears see whole entries only") {
  const TemporaryFolder folder;
  const std::string path = folder / "cache";
  const pid_t writer = start_child([&] {
    KeptLog kept;
    DiskCache cache(path, kept.log);
    for (int index = 0; index < 300; ++index)
      if (!cache.store(entry_of(key_name(index % keys), 30'000))) return 1;
    return 0;
  });
  const pid_t cleaner = start_child([&] {
    KeptLog kept;
    DiskCache cache(path, kept.log);
    for (int index = 0; index < 20; ++index) {
      cache.clear();
      std::this_thread::sleep_for(2ms);
    }
    return kept.lines.empty() ? 0 : 1;
  });
  std::vector<pid_t> readers;
  for (int reader = 0; reader < 3; ++reader)
    readers.push_back(start_child([&] {
      KeptLog kept;
      DiskCache cache(path, kept.log);
      for (int index = 0; index < 500; ++index) {
        const std::string key = key_name(index % keys);
        const auto entry = cache.load(key);
        if (entry && *entry != entry_of(key, 30'000)) return 1;
      }
      return kept.lines.empty() ? 0 : 2;
    }));
  CHECK(wait_for(writer) == 0);
  CHECK(wait_for(cleaner) == 0);
  for (const pid_t reader : readers) CHECK(wait_for(reader) == 0);
}
