#include <doctest/doctest.h>

#include "command.hpp"
#include "support/error_text.hpp"

using namespace isofold::testing;

namespace {

std::string explained(const std::string& a, const std::string& b, bool same) {
  const CommandWorld world;
  const Json json = world.json({"explain", a, b}, same ? 0 : 1);
  CHECK(json.at("same_bits") == same);
  return json.at("sentence").get<std::string>();
}

}  // namespace

TEST_CASE("the Spec field or the Fold field that differs is named") {
  CHECK(explained("rms_norm -n 64", "rms_norm -n 64", true) == "The same bits: Spec and Fold are equal.");
  CHECK(contains(explained("rms_norm -n 4096", "rms_norm -n 8192", false), "spec: N is 4096 and 8192"));
  CHECK(contains(explained("rms_norm -n 64 --eps 1e-5", "rms_norm -n 64", false), "the statement r is"));
  CHECK(contains(explained("rms_norm -n 64", "rms_norm -n 64 --dtype f16", false), "the input x is \"bf16[row]\" and \"f16[row]\""));
  CHECK(contains(explained("rms_norm -n 64", "rms_norm -n 64 --no-weight", false), "only the first has the input weight"));
  CHECK(explained("rms_norm -n 4096", "rms_norm -n 4096 --fold 'leaf=8 lanes=32 segments=8'", false) ==
        "Not the same bits: they differ in fold.segments: 16 and 8.");
}

TEST_CASE("folds that differ and have the same bits all the same") {
  CHECK(contains(explained("max -n 4096", "max -n 4096 --fold 'leaf=4 lanes=1 segments=8'", true), "a maximum has the same bits in any order"));
  CHECK(contains(explained("rms_norm -n 20 --fold 'leaf=8 lanes=32 segments=1'", "rms_norm -n 20 --fold 'leaf=8 lanes=4 segments=1'", true),
                 "both are one tree"));
  // The same additions, but products that begin a leaf are rounded and those that continue it are fused.
  CHECK(contains(explained("rms_norm -n 4 --fold 'leaf=2 lanes=1 segments=2'", "rms_norm -n 4 --fold 'leaf=1 lanes=2 segments=2'", false),
                 "fold.lanes: 1 and 2; fold.leaf: 2 and 1"));
}

TEST_CASE("generated kernels and the texts of plans") {
  const CommandWorld world;
  const auto source = [&](const char* device, const char* tokens) {
    return world.run({"inspect", "--op", "rms_norm", "-n", "1024", "--device", device, "--tokens", tokens, "--show", "source"}).output;
  };
  write_text(world.path("a.cu"), source("sm_90", "1"));
  write_text(world.path("b.cu"), source("sm_80", "4096"));
  const Json json = world.json({"explain", world.path("a.cu"), world.path("b.cu")});
  CHECK(contains(json.at("sentence").get<std::string>(), "target: sm_90 and sm_80, which cannot change a bit."));
  CHECK(json.at("bits_ids")[0] == json.at("bits_ids")[1]);
  const Json plan = world.json({"inspect", "--op", "rms_norm", "-n", "1024", "--device", "sm_90"});
  const std::string text = plan.at("spec").get<std::string>() + " | " + plan.at("fold").get<std::string>() + " | " + plan.at("schedule").get<std::string>();
  CHECK(world.json({"explain", world.path("a.cu"), text}).at("differences").empty());
  CHECK(world.json({"explain", world.path("a.cu"), plan.at("spec").get<std::string>()}).at("same_bits") == true);
}

TEST_CASE("what is no configuration is refused") {
  const CommandWorld world;
  const auto refused = [&](const std::string& a, const std::string& words) { world.refused({"explain", a, "rms_norm -n 64"}, words); };
  refused("nonsense", "is neither a named operator");
  refused("rms_norm -n 64,65", "-n has 2 values");
  refused("rms_norm --oops 3", "is no operator: \"--oops\" is not known here");
  refused("rms_norm N=4 {", "at");
  write_text(world.path("x.cu"), "int main() {}");
  refused(world.path("x.cu"), "is no generated kernel");
  CHECK(world.run({"explain", "rms_norm"}).status == 2);
}
