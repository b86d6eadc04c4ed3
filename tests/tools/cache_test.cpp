// Needs NVRTC or the CPU backend.
#include <doctest/doctest.h>

#include <filesystem>

#include "command.hpp"

using namespace isofold::testing;

namespace {

/// A cache folder with two kernels in it.
class FilledCache {
 public:
  FilledCache() {
    world.set("ISOFOLD_CACHE", world.path("cache"));
    for (const char* n : {"64", "128"})
      CHECK(world.run({"inspect", "-n", n, "--device", device(), "--show", "usage"}).status == 0);
  }
  static std::string device() { return has_nvrtc() ? "sm_90" : "cpu"; }
  std::string first_file() const {
    for (const auto& item : std::filesystem::directory_iterator(world.path("cache/entries")))
      return item.path().string();
    return {};
  }

  CommandWorld world;
};

}  // namespace

TEST_CASE("cache list, verify, prune and clear") {
  const FilledCache cache;
  const CommandWorld& world = cache.world;
  const Json list = world.json({"cache", "list"});
  CHECK(list.at("count") == 2);
  CHECK(list.at("bytes").get<std::int64_t>() > 1000);
  CHECK(list.at("entries")[0].at("metadata").get<std::string>().starts_with("add_rms_norm N="));
  CHECK(world.json({"cache", "verify"}).at("damaged") == 0);
  CHECK(world.run({"cache", "list"}).output.find("2 entries") != std::string::npos);

  std::string bytes = read_text(cache.first_file());
  bytes[bytes.size() / 2] ^= 1;
  write_text(cache.first_file(), bytes);
  CHECK(world.json({"cache", "list"}).at("damaged") == 1);
  const Json damaged = world.json({"cache", "verify"}, 1);
  CHECK(damaged.at("entries").size() == 1);
  CHECK_FALSE(damaged.at("entries")[0].at("problem").get<std::string>().empty());

  CHECK(world.json({"cache", "prune"}).at("removed") == 1);
  CHECK(world.json({"cache", "verify"}).at("count") == 1);
  CHECK(world.json({"cache", "prune", "--max-size", "1G", "--unused-for", "30d"}).at("removed") == 0);
  CHECK(world.json({"cache", "prune", "--max-size", "1K"}).at("removed") == 1);
  CHECK(world.json({"cache", "clear"}).at("removed") == 0);
}
