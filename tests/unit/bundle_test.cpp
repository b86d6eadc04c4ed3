#include "bundle.hpp"

#include <isofold/isofold.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "support/error_text.hpp"
#include "support/temporary_folder.hpp"

using namespace isofold;
using isofold::testing::contains;
using isofold::testing::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

const Spec spec = rms_norm({.n = 256});
const Fold fold = default_fold(spec);
const DeviceTraits h100 = *traits_of_arch("sm_90"), a100 = *traits_of_arch("sm_80");
const GpuSchedule schedule{.threads_per_row = 32, .rows_per_block = 1};
const Plan plan = make_plan(spec, fold, schedule, h100).value();

BundleContent content(const DeviceTraits& device, const std::string& code) {
  return {.made_by = "a test",
          .choices = {{text(spec), text(fold), text(device), {{1, schedule, "a table", true}}}},
          .entries = {{bundle_key(plan, "source"), "cuda", "words", {{"cubin", code}}}}};
}

std::string error_of(const std::string& path) {
  try {
    Bundle(path).read_all();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("what was written is found again, and equal contents are equal bytes") {
  const TemporaryFolder folder;
  write_bundle(folder / "a", content(h100, std::string("co\0de", 5)));
  write_bundle(folder / "b", content(h100, std::string("co\0de", 5)));
  CHECK(read(folder / "a") == read(folder / "b"));
  const Bundle bundle(folder / "a");
  CHECK(bundle.made_by() == "a test");
  CHECK(bundle.entries() == 1);
  const auto entry = bundle.find(bundle_key(plan, "source"));
  REQUIRE(entry);
  CHECK(*entry->section("cubin") == std::string("co\0de", 5));
  CHECK_FALSE(bundle.find(bundle_key(plan, "another source")));
  CHECK_FALSE(bundle.find(bundle_key(make_plan(spec, fold, schedule, a100).value(), "source")));
}

TEST_CASE("of several bundles the last counts, the device itself before its architecture") {
  const TemporaryFolder folder;
  DeviceTraits other = h100;
  other.name = "another_sm_90";
  write_bundle(folder / "h100", content(h100, "1"));
  write_bundle(folder / "other", content(other, "2"));
  const Bundles both({folder / "h100", folder / "other"}, false);
  CHECK(*both.find(bundle_key(plan, "source"))->section("cubin") == "2");
  REQUIRE(both.choice(spec, fold, h100));
  CHECK(both.choice(spec, fold, h100)->device == text(h100));
  CHECK(both.choice(spec, fold, h100)->ranges[0].origin == "bundle " + folder / "h100" + " (a table)");
  DeviceTraits third = h100;
  third.name = "third_sm_90";
  CHECK(both.choice(spec, fold, third)->device == text(other));
  CHECK(both.choice(spec, fold, a100) == nullptr);
  CHECK(both.choice(rms_norm({.n = 512}), fold, h100) == nullptr);
}

TEST_CASE("a range keeps the schedule for callers who have a workspace, and no other in its place") {
  const TemporaryFolder folder;
  const GpuSchedule split{.threads_per_row = 32, .blocks_per_row = 2, .split = Split::workspace, .staging = Staging::reread};
  BundleContent both = content(h100, "code");
  both.choices[0].ranges[0].with_workspace = split;
  write_bundle(folder / "both", both);
  const Bundle bundle(folder / "both");
  REQUIRE(bundle.choices()[0].ranges[0].with_workspace);
  CHECK(*bundle.choices()[0].ranges[0].with_workspace == Schedule(split));
  BundleContent plain = content(h100, "code");
  plain.choices[0].ranges[0].with_workspace = schedule;
  write_bundle(folder / "plain", plain);
  CHECK(contains(error_of(folder / "plain"), "needs a workspace where it must not"));
  BundleContent wrong = content(h100, "code");
  wrong.choices[0].ranges[0].schedule = split;
  write_bundle(folder / "wrong", wrong);
  CHECK(contains(error_of(folder / "wrong"), "needs a workspace where it must not"));
}

TEST_CASE("every byte of a bundle is checked: a changed one, a missing one, another kind of file") {
  const TemporaryFolder folder;
  const std::string path = folder / "a";
  write_bundle(path, content(h100, "code"));
  const std::string good = read(path);
  CHECK(error_of(path) == "");
  for (std::size_t byte = 0; byte < good.size(); ++byte) {
    std::string bad = good;
    bad[byte] = static_cast<char>(bad[byte] ^ 1);
    write(path, bad);
    CAPTURE(byte);
    CHECK(contains(error_of(path), "bundle " + path));
  }
  for (std::size_t bytes = 0; bytes < good.size(); ++bytes) {
    write(path, good.substr(0, bytes));
    CAPTURE(bytes);
    CHECK(contains(error_of(path), "bundle " + path));
  }
  write(path, good);
  fs::permissions(path, fs::perms::others_write, fs::perm_options::add);
  CHECK(contains(error_of(path), "everybody may write to it"));
  CHECK(contains(error_of(folder / "nothing"), "cannot be opened"));
  CHECK(contains(error_of("/dev/null"), "it is not a file"));
}
