#include <doctest/doctest.h>

#include <regex>

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

TEST_CASE("every line of others has a colour, a marker and its place in the legend") {
  const CommandWorld world;
  Json bench = Json::parse(read_text(data + "/bench_gpu.json"));
  Json native = bench.at("lines")[2], compile = native;
  native["key"] = "native", native["name"] = "PyTorch (native)";
  compile["key"] = "compile", compile["name"] = "PyTorch (torch.compile)";
  compile["missing"] = "out of memory at 4096 tokens";
  compile["kernel_us"].back() = nullptr;
  bench["lines"].insert(bench["lines"].begin() + 3, {native, compile});
  write_text(world.path("bench.json"), bench.dump());
  const Json made = world.json({"chart", "--from", world.path("bench.json"), "--output", world.path("c")});
  const std::string svg = read_text(made.at("svg"));
  CHECK(markup_fault(svg) == "");
  for (const std::string key : {"isofold", "any_fold", "python", "native", "compile", "triton"}) {
    CAPTURE(key);
    CHECK(count(svg, ".line." + key + "{") == 1);
    CHECK(count(svg, ".mark." + key + "{") == 1);
    CHECK(count(svg, "class=\"mark " + key + "\"") > 9);
  }
  for (const char* colour : {"--native:#", "--compile:#"}) CHECK(count(svg, colour) == 2);  // light and dark
  CHECK(contains(svg,
                 "PyTorch (torch.compile) did not run at every token count: out of memory at 4096 tokens."));

  // The legend: entries of one row do not touch, and end inside the picture.
  const std::regex entry(
      "<g transform=\"translate\\((\\d+) (\\d+)\\)\"><path class=\"line [a-z_]+\" d=\"M0 "
      "6H34\"/>.*<text[^>]*>([^<]*)</text></g>\n");
  double end = 0, row = 0;
  std::size_t entries = 0;
  for (std::sregex_iterator found(svg.begin(), svg.end(), entry), none; found != none; ++found, ++entries) {
    const double x = std::stod((*found)[1]), y = std::stod((*found)[2]);
    if (y == row) CHECK(x >= end);
    end = x + 42 + 6.8 * static_cast<double>((*found)[3].length());
    row = y;
    CHECK(end <= 860);
  }
  CHECK(entries == 8);
}

TEST_CASE("a file that is no result of bench is refused by name") {
  const CommandWorld world;
  const std::string good = read_text(data + "/bench_gpu.json");
  const auto refused = [&](const std::string& text, const std::string& words) {
    write_text(world.path("bad.json"), text);
    CHECK(contains(world.refused({"chart", "--from", world.path("bad.json"), "--output", world.path("x")}, words), "bad.json"));
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
