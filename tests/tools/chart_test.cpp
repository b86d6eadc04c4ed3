#include <doctest/doctest.h>

#include "command.hpp"
#include "markup.hpp"
#include "support/error_text.hpp"

using namespace isofold::testing;

namespace {

const std::string data = ISOFOLD_TEST_DATA;

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t place = text.find(part); place != text.npos; place = text.find(part, place + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("the markup check finds what it is for") {
  CHECK(markup_fault("<a b=\"c\"><d/>text &amp; more</a>").empty());
  CHECK_FALSE(markup_fault("<a><b></a></b>").empty());
  CHECK_FALSE(markup_fault("<a b=c/>").empty());
  CHECK_FALSE(markup_fault("<a>1 < 2</a>").empty());
  CHECK_FALSE(markup_fault("<a>this & that</a>").empty());
  CHECK_FALSE(markup_fault("<a/><b/>").empty());
  CHECK_FALSE(markup_fault("<a>").empty());
}

TEST_CASE("a stored GPU result becomes two panels with every line, and every value within reach") {
  const CommandWorld world;
  for (const char* axis : {"categories", "log"}) {
    CAPTURE(axis);
    const Json made = world.json(
        {"chart", "--from", data + "/bench_gpu.json", "--output", world.path("c.svg"), "--axis", axis});
    CHECK(made.at("result").at("lines").size() == 6);
    const std::string svg = read_text(made.at("svg"));
    const std::string html = read_text(made.at("html"));
    CHECK(markup_fault(svg) == "");
    CHECK(markup_fault(html) == "");
    for (const char* name :
         {"Isofold", "Non-batch-invariant (CUDA)", "Batch-invariant (Python)", "Batch-invariant (Triton)"}) {
      CHECK(contains(svg, name));
      CHECK(contains(html, name));
    }
    CHECK(contains(svg, "GPU time of a launch"));
    CHECK(contains(svg, "A whole call, until its result is there"));
    CHECK(count(svg, "tabindex=\"0\"") == 2 * 9);
    CHECK(count(html, "class=\"column\"") == 2 * 2 * 9);  // two panels, wide and narrow
    CHECK(contains(svg, "128 tokens; Batch-invariant (Python): 38.3 µs; Batch-invariant (Triton): 10.6 µs"));
    CHECK(contains(html, "prefers-color-scheme:dark"));
    CHECK(contains(html, "isofold inspect --spec"));
    // Self-contained: no address but the name of the SVG format.
    CHECK(count(html, "http") == 0);
    CHECK(count(svg, "http") == 1);
    CHECK_FALSE(contains(html, "<script"));
  }
}

TEST_CASE("a stored CPU result is one panel, and says in words which lines could not run and why") {
  const CommandWorld world;
  const Json made =
      world.json({"chart", "--from", data + "/bench_cpu.json", "--output", world.path("folder/c")});
  const std::string svg = read_text(made.at("svg"));
  const std::string html = read_text(made.at("html"));
  CHECK(markup_fault(svg) == "");
  CHECK(markup_fault(html) == "");
  CHECK(count(svg, "panel-title\" x") == 1);
  CHECK(contains(html, "Batch-invariant (Triton) did not run: Triton compiles for GPUs only."));
  CHECK(contains(html, "&lt;3.11&gt; &amp; &quot;others&quot;"));
  CHECK(contains(html, "<td>–</td>"));  // a value that was not measured
}

TEST_CASE("a file that is no result of bench is refused by name") {
  const CommandWorld world;
  const std::string good = read_text(data + "/bench_gpu.json");
  const auto refused = [&](const std::string& text, const std::string& words) {
    write_text(world.path("bad.json"), text);
    const auto result = world.run({"chart", "--from", world.path("bad.json"), "--output", world.path("x")});
    CAPTURE(result.errors);
    CHECK(result.status == 2);
    CHECK(contains(result.errors, "bad.json"));
    CHECK(contains(result.errors, words));
  };
  refused("", "not JSON");
  refused("{\"schema\": 3}", "not a result");
  refused("[]", "not a result");
  refused(good.substr(0, good.size() / 2), "not JSON");
  const auto changed = [&](const char* key, const Json& value) {
    Json json = Json::parse(good);
    json[key] = value;
    return json.dump();
  };
  refused(changed("tokens", {4, 2, 1, 8, 9, 10, 11, 12, 13}), "ascend");
  refused(changed("tokens", {1, 2}), "9 times for 2 token counts");
  refused(changed("tokens", Json::array()), "0 token counts");
  refused(changed("title", 7), "not a result");
  Json json = Json::parse(good);
  json["lines"][0]["kernel_us"][0] = -3;
  refused(json.dump(), "-3");
}
