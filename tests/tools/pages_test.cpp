// Needs a browser, and the CPU backend: opens the pages, wide and narrow, light and dark. Those of a GPU are of the software GPU,
// where times mean nothing.
#include <doctest/doctest.h>

#include "command.hpp"
#include "programs.hpp"
#include "support/error_text.hpp"

using namespace isofold::testing;

namespace {

/// Looks for what a person would stumble over, and writes it into the document.
const std::string examination = R"html(<script>
addEventListener("load", () => {
  if (window === top) return;
  const faults = [], say = text => faults.push(text);
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth + 1) say("the page is " + root.scrollWidth + " wide in " + root.clientWidth);
  const shown = box => box.width > 0 && box.height > 0;
  for (const svg of document.querySelectorAll("svg")) {
    const frame = svg.getBoundingClientRect();
    if (!shown(frame)) continue;
    const labels = [...svg.querySelectorAll("text")].filter(text => !text.closest(".tip"))
      .map(text => ({text: text.textContent, box: text.getBoundingClientRect()})).filter(label => shown(label.box));
    labels.forEach((a, i) => {
      if (a.box.left < frame.left - 1 || a.box.right > frame.right + 1 || a.box.top < frame.top - 1 || a.box.bottom > frame.bottom + 1)
        say("\"" + a.text + "\" is cut off");
      for (const b of labels.slice(i + 1)) {
        const x = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
        const y = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
        if (x > 1 && y > 3) say("\"" + a.text + "\" and \"" + b.text + "\" overlap");
      }
      if (a.box.height < 8) say("\"" + a.text + "\" is " + a.box.height + " pixels high");
    });
  }
  const reachable = [...document.querySelectorAll("[tabindex], summary")].filter(element => shown(element.getBoundingClientRect()) && (element.tagName === "SUMMARY" || !element.closest("details:not([open])")));
  if (reachable.length === 0) say("nothing is within reach of the keyboard");
  for (const element of reachable) {
    element.focus();
    if (document.activeElement !== element) say("no focus for " + element.outerHTML.slice(0, 60));
    if (element.tagName !== "SUMMARY" && !element.getAttribute("aria-label") && !element.textContent.trim()) say("no name for " + element.outerHTML.slice(0, 60));
    const tip = element.querySelector(".tip");
    if (tip && getComputedStyle(tip).visibility !== "visible") say("no values on focus");
    if (tip) {
      const box = tip.querySelector(".box").getBoundingClientRect(), frame = element.closest("svg").getBoundingClientRect();
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1) say("a box of values is cut off");
      for (const text of tip.querySelectorAll("text")) {
        const line = text.getBoundingClientRect();
        if (line.right > box.right + 1 || line.left < box.left - 1) say("\"" + text.textContent + "\" leaves its box");
      }
    }
  }
  for (const box of document.querySelectorAll("*"))
    if (box.scrollWidth > box.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(box).overflowX) && shown(box.getBoundingClientRect()) && !box.hasAttribute("tabindex"))
      say("a box scrolls and cannot be reached: " + box.outerHTML.slice(0, 60));
  const style = getComputedStyle(document.body);
  const light = colour => colour.match(/[0-9.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);
  const result = document.createElement("pre");
  result.id = "examination";
  result.textContent = "paper " + (light(style.backgroundColor) > 382 ? "light" : "dark") + ", ink " +
    (light(style.color) > 382 ? "light" : "dark") + ", " + root.clientWidth + " wide, faults: " + faults.slice(0, 8).join("; ");
  document.body.append(result);
});
</script></body>)html";

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '&' ? "&amp;" : c == '"' ? "&quot;" : std::string(1, c);
  return out;
}

/// What the examination says of a page, once for each width.
std::vector<std::string> examined(const CommandWorld& world, std::string text, const std::vector<int>& widths, bool dark) {
  const std::size_t end = text.rfind("</body>");
  REQUIRE(end != text.npos);
  text.replace(end, 7, examination);
  std::string frames =
      "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\"></head><body>";
  for (const int width : widths)
    frames += "<iframe width=\"" + std::to_string(width) + "\" height=\"1600\" style=\"border:0\" srcdoc=\"" + escaped(text) + "\"></iframe>";
  frames += R"(<script>addEventListener("load", () => {
  for (const frame of document.querySelectorAll("iframe")) {
    document.body.append(frame.contentDocument.querySelector("#examination"));
    frame.remove();
  }
});</script></body></html>)";
  write_text(world.path("frames.html"), frames);
  const std::string mark = "<pre id=\"examination\">";
  std::vector<std::string> findings;
  std::string errors;
  for (int attempt = 0; attempt < 3 && findings.size() != widths.size(); ++attempt) {  // on a busy machine a browser may end without a page
    const auto result = isofold::tools::run_program(
        {browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--user-data-dir=" + world.path("browser"),
         "--window-size=1300,1600", std::string("--blink-settings=preferredColorScheme=") + (dark ? "0" : "1"), "--virtual-time-budget=5000",
         "--dump-dom", "file://" + world.path("frames.html")});
    findings.clear();
    for (std::size_t begin = result.output.find(mark); begin != result.output.npos; begin = result.output.find(mark, begin + 1))
      findings.push_back(result.output.substr(begin + mark.size(), result.output.find("</pre>", begin) - begin - mark.size()));
    errors += result.errors;
  }
  CAPTURE(errors);
  REQUIRE(findings.size() == widths.size());
  return findings;
}

void check_page(const CommandWorld& world, const std::string& page) {
  CAPTURE(page);
  for (const bool dark : {false, true}) {
    const std::string colours = std::string("paper ") + (dark ? "dark" : "light") + ", ink " + (dark ? "light" : "dark") + ", ";
    const auto findings = examined(world, read_text(page), {1200, 390}, dark);
    CHECK(findings[0] == colours + "1200 wide, faults: ");
    CHECK(findings[1] == colours + "390 wide, faults: ");
  }
}

}  // namespace

TEST_CASE("the examination finds what it is for") {
  const CommandWorld world;
  const std::string found = examined(
      world,
      "<!DOCTYPE html>\n<html><head><style>body{margin:0;color:#000;background:#fff}</style></head><body><div style=\"width:2000px\">x</div>"
      "<svg width=\"100\" height=\"40\"><text x=\"5\" y=\"20\">one</text><text x=\"10\" y=\"22\">two</text>"
      "<text x=\"90\" y=\"35\">three</text></svg></body></html>",
      {1200}, false)[0];
  CHECK(contains(found, "the page is 2000 wide in 1200"));
  CHECK(contains(found, "\"one\" and \"two\" overlap"));
  CHECK(contains(found, "\"three\" is cut off"));
  CHECK(contains(found, "nothing is within reach of the keyboard"));
}

TEST_CASE("pages of tune, verify, inspect and chart can be read, wide and narrow, light and dark") {
  CommandWorld world;
  world.json({"tune", "--op", "rms_norm", "-n", "256", "--device", "cpu", "--tokens", "1..1024x2", "--seconds", "3", "--folds",
              "--max-candidates", "2", "--output", world.path("t.jsonl"), "--report", world.path("tune.html")});
  check_page(world, world.path("tune.html"));
  world.json({"bench", "--op", "softmax", "-n", "512", "--device", "cpu", "--tokens", "1,16,256", "--seconds", "1", "--no-python", "--no-host",
              "--report", world.path("bench.html")});
  check_page(world, world.path("bench.html"));
  // With the table that tune wrote: times, price and bandwidth beside what was compared.
  world.set("ISOFOLD_TABLES", world.path("t.jsonl"));
  world.json({"verify", "--op", "rms_norm", "-n", "256", "--device", "cpu", "--tokens", "1..64", "--all-schedules", "--report",
              world.path("verify.html")});
  REQUIRE(contains(read_text(world.path("verify.html")), "The price of invariance"));
  check_page(world, world.path("verify.html"));
  world.json({"inspect", "--op", "add_rms_norm", "-n", "8192", "--device", "sm_90", "--tokens", "128", "--page", world.path("inspect.html")});
  check_page(world, world.path("inspect.html"));
  world.json({"chart", "--from", std::string(ISOFOLD_TEST_DATA) + "/bench_gpu.json", "--output", world.path("chart")});
  check_page(world, world.path("chart.html"));
}

TEST_CASE("pictures of their own fit a narrow window") {
  const CommandWorld world;
  const auto of = [&](const std::string& svg) {
    return examined(world, "<!DOCTYPE html><html><body style=\"margin:0\">" + svg + "</body></html>", {1200, 390}, false);
  };
  world.json({"chart", "--from", std::string(ISOFOLD_TEST_DATA) + "/bench_gpu.json", "--output", world.path("chart")});
  for (const std::string& svg : {world.run({"inspect", "--op", "rms_norm", "-n", "8192", "--device", "sm_90", "--tokens", "128", "--show", "svg"}).output,
                                 read_text(world.path("chart.svg"))}) {
    const std::vector<std::string> found = of(svg);
    for (const char* fault : {"overlap", "cut off", "the page is"}) CHECK_FALSE(contains(found[0], fault));
    CHECK(contains(found[1], "390 wide, faults"));
    CHECK_FALSE(contains(found[1], "the page is"));
  }
}

#ifdef ISOFOLD_SOFTWARE_CUDA
TEST_CASE("pages of a GPU can be read, wide and narrow, light and dark") {
  CommandWorld world;
  world.set("ISOFOLD_CUDA", ISOFOLD_SOFTWARE_CUDA);
  world.set("ISOFOLD_NVRTC", ISOFOLD_SOFTWARE_NVRTC);
  const auto run = [&](std::vector<std::string> arguments, const std::string& page) {
    arguments.insert(arguments.end(), {"--op", "sum_of_squares", "-n", "64", "--dtype", "f32", "--device", "cuda:0", "--report", world.path(page)});
    world.json(arguments);
    check_page(world, world.path(page));
  };
  run({"tune", "--tokens", "1,3", "--seconds", "1", "--folds", "--max-candidates", "2", "--output", world.path("t.jsonl")}, "tune.html");
  world.set("ISOFOLD_TABLES", world.path("t.jsonl"));
  run({"verify", "--tokens", "1..3", "--all-schedules"}, "verify.html");
  CHECK(contains(read_text(world.path("verify.html")), "GPU time of a launch"));
}
#endif
