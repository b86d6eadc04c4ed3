#include "memory_cache.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <latch>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using isofold::InternalError;
using isofold::MemoryCache;
using Cache = MemoryCache<const std::string>;

namespace {

std::shared_ptr<const std::string> made(const std::string& text) {
  return std::make_shared<const std::string>(text);
}

/// Runs `body(index)` in `count` threads that start together.
template <class Body>
void in_threads(int count, Body body) {
  std::latch start(count);
  std::vector<std::jthread> threads;
  for (int index = 0; index < count; ++index)
    threads.emplace_back([&, index] {
      start.arrive_and_wait();
      body(index);
    });
}

}  // namespace

TEST_CASE("built once, found afterwards") {
  Cache cache;
  int builds = 0;
  const auto build = [&] { return ++builds, made("value"); };
  CHECK(cache.find("key") == nullptr);
  CHECK(*cache.get_or_build("key", build) == "value");
  CHECK(*cache.get_or_build("key", build) == "value");
  CHECK(*cache.find("key") == "value");
  CHECK(cache.find("other") == nullptr);
  CHECK(builds == 1);
  CHECK(cache.size() == 1);
  cache.clear();
  CHECK(cache.size() == 0);
  CHECK(cache.find("key") == nullptr);
}

TEST_CASE("many threads, many keys: one build per key, the right value for everyone") {
  Cache cache;
  constexpr int keys = 50;
  std::vector<std::atomic<int>> builds(keys);
  std::atomic<int> wrong = 0;
  in_threads(8, [&](int thread) {
    for (int step = 0; step < 4 * keys; ++step) {
      const int key = (step * 7 + thread * 13) % keys;
      const std::string name = "key " + std::to_string(key);
      const auto value = cache.get_or_build(name, [&] {
        ++builds[static_cast<std::size_t>(key)];
        std::this_thread::yield();
        return made("value of " + name);
      });
      if (*value != "value of " + name) ++wrong;
    }
  });
  CHECK(wrong == 0);
  CHECK(cache.size() == keys);
  for (const auto& count : builds) CHECK(count == 1);
}

TEST_CASE("a failed build reaches those who wait, and the next call tries again") {
  Cache cache;
  std::atomic<int> builds = 0;
  std::atomic<int> waiting = 0;
  std::atomic<int> failed = 0;
  in_threads(4, [&](int) {
    try {
      ++waiting;
      cache.get_or_build("key", [&]() -> Cache::Pointer {
        while (waiting < 4) std::this_thread::yield();
        ++builds;
        throw std::runtime_error("no compiler");
      });
    } catch (const std::runtime_error& error) {
      if (std::string(error.what()) == "no compiler") ++failed;
    }
  });
  CHECK(failed == 4);
  CHECK(builds >= 1);
  CHECK(cache.size() == 0);
  CHECK(*cache.get_or_build("key", [] { return made("second try"); }) == "second try");
}

TEST_CASE("a build that makes nothing is a bug that leaves no entry") {
  Cache cache;
  CHECK_THROWS_AS(cache.get_or_build("key", [] { return Cache::Pointer(); }), InternalError);
  CHECK(cache.size() == 0);
}

TEST_CASE("a slow build holds up no other key, and clear leaves it alone") {
  Cache cache;
  std::latch building(1);
  std::latch finish(1);
  std::jthread slow([&] {
    cache.get_or_build("slow", [&] {
      building.count_down();
      finish.wait();
      return made("slow value");
    });
  });
  building.wait();
  for (int key = 0; key < 100; ++key) {
    const std::string name = "fast " + std::to_string(key);
    CHECK(*cache.get_or_build(name, [&] { return made(name); }) == name);
  }
  CHECK(cache.find("slow") == nullptr);
  cache.clear();
  finish.count_down();
  slow.join();
  CHECK(*cache.find("slow") == "slow value");
}

TEST_CASE("a build may use the cache for another key") {
  Cache cache;
  const auto value = cache.get_or_build("outer", [&] {
    return made("outer of " + *cache.get_or_build("inner", [] { return made("inner"); }));
  });
  CHECK(*value == "outer of inner");
}
