// A prepared launch allocates nothing, whatever its tensors' alignment: every `operator new` of this program is counted.
#include <isofold/isofold.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <new>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

namespace {

std::atomic<int> allocations = 0;

void* counted(std::size_t bytes, std::size_t alignment) {
  ++allocations;
  void* memory = alignment > alignof(std::max_align_t)
                     ? std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment)
                     : std::malloc(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes, 1); }
void* operator new[](std::size_t bytes) { return counted(bytes, 1); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return ++allocations, std::malloc(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return ++allocations, std::malloc(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

using namespace isofold;

TEST_CASE("a launch after prepare allocates nothing") {
  const Runtime runtime({.device = "cpu", .cache_folder = "off", .tables = {}});
  constexpr std::int64_t tokens = 70;
  for (const std::int64_t n : {4096, 4097, 100, 1})
    for (const std::int64_t offset : {0, 1, 2}) {
      CAPTURE(n);
      CAPTURE(offset);
      const Operator op = runtime.rms_norm({.n = n});
      op.prepare(std::vector<std::int64_t>{tokens});
      std::vector<std::uint16_t> x(static_cast<std::size_t>(n * tokens + offset), 0x3f80), y(x.size()),
          weight(static_cast<std::size_t>(n + offset), 0x3f80);
      RmsNormArguments arguments;
      arguments.x.data = x.data() + offset;
      arguments.weight = weight.data() + offset;
      arguments.y.data = y.data() + offset;
      const int before = allocations;
      op.launch(nullptr, arguments, tokens);
      CHECK(allocations == before);
      CHECK(y.back() == 0x3f80);
    }
}

TEST_CASE("nor does one that is recorded") {
  const isofold::testing::TemporaryFolder folder;
  const std::string record = folder / "record.jsonl";
  constexpr std::int64_t tokens = 3;
  std::vector<std::uint16_t> x(64 * tokens, 0x3f80), y(x.size()), weight(64, 0x3f80);
  {
    RuntimeOptions options;
    options.device = "cpu";
    options.cache_folder = "off";
    options.record = record;
    const Runtime runtime(options);
    const Operator op = runtime.rms_norm({.n = 64});
    op.prepare(std::vector<std::int64_t>{tokens});
    RmsNormArguments arguments;
    arguments.x.data = x.data();
    arguments.weight = weight.data();
    arguments.y.data = y.data();
    int fewest = 1;  // the thread that writes the record may allocate meanwhile
    for (int i = 0; i < 10; ++i) {
      const int before = allocations;
      op.launch(nullptr, arguments, tokens);
      fewest = std::min(fewest, allocations - before);
    }
    CHECK(fewest == 0);
  }
  std::ifstream lines(record);
  const std::string line{std::istreambuf_iterator<char>(lines), {}};
  CHECK(line.find("\"launches\":{\"3\":10}") != line.npos);
}
