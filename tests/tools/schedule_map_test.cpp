#include "schedule_map.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "markup.hpp"
#include "support/error_text.hpp"

using namespace isofold;
using namespace isofold::testing;
using namespace isofold::tools;

namespace {

VerifyCounts compared(std::uint64_t elements, std::uint64_t differing = 0, std::uint64_t overwritten = 0) {
  return {.launches = 1, .elements = elements, .differing = differing, .overwritten = overwritten, .first = {}};
}

Timing timing(const char* schedule, double microseconds, int stage) {
  return {parse_schedule(schedule), {}, microseconds, 0, stage};
}

}  // namespace

TEST_CASE("outcomes: the same bits, others, bytes outside, what did not run, what was not compared") {
  VerifyPart launched{.name = "as launched", .as_launched = true}, all{.name = "all"};
  launched.launched[{"cpu width=8 memory=cached", 1}] = compared(100);
  launched.launched[{"cpu width=8 memory=cached", 3}] = compared(1234567);
  all.launched[{"cpu width=8 memory=cached", 1}] = compared(50);
  all.launched[{"cpu width=4 memory=cached", 1}] = compared(100, 7);
  all.launched[{"cpu width=4 memory=cached", 3}] = compared(100, 0, 2);
  all.refused.push_back({"cpu width=16 memory=cached", "no", {1, 3}});
  all.refused.push_back({"cpu width=8 memory=cached", "no", {3}});
  const ScheduleMap map = map_of({launched, all});
  CHECK(map.columns == std::vector<std::string>{"1", "3"});
  REQUIRE(map.rows.size() == 3);
  CHECK(map.rows[0].schedule == "cpu width=8 memory=cached");
  CHECK(map.rows[0].cells[0].colour == "same");
  CHECK(map.rows[0].cells[0].words == "150");
  CHECK(map.rows[0].cells[0].chosen);
  CHECK(map.rows[0].cells[1].colour == "refused");
  CHECK(map.rows[0].cells[1].words == "1.23 M, not all ran");
  CHECK(map.rows[1].schedule == "cpu width=16 memory=cached");
  CHECK(map.rows[1].cells[0].colour == "refused");
  CHECK(map.rows[2].cells[0].colour == "differs");
  CHECK(map.rows[2].cells[0].words == "✗ 7 of 100");
  CHECK(map.rows[2].cells[1].words == "✗ 2 B outside");
  CHECK_FALSE(map.rows[2].cells[0].chosen);
  const std::string html = schedule_map_html(map);
  CHECK(markup_fault("<div>" + html + "</div>") == "");
  CHECK(contains(html, "<td class=\"same chosen\">150</td>"));
  CHECK(contains(html, "tabindex=\"0\""));
}

TEST_CASE("many token counts share columns, and of many schedules without a fault the last ones a line") {
  VerifyPart part{.name = "all"};
  for (int tokens = 1; tokens <= 100; ++tokens)
    for (int schedule = 0; schedule < 40; ++schedule) part.launched[{fmt::format("s {:02}", schedule), tokens}] = compared(10);
  part.launched[{"s 39", 100}] = compared(10, 1);
  const ScheduleMap map = map_of({part});
  CHECK(map.columns == std::vector<std::string>{"1", "2", "3 to 4", "5 to 8", "9 to 16", "17 to 32", "33 to 64", "65 to 100"});
  CHECK(map.rows.size() == 25);
  CHECK(map.rows[0].schedule == "s 39");
  CHECK(map.rows[0].cells.back().words == "✗ 1 of 360");
  CHECK(map.rows[1].cells[2].words == "20");
  REQUIRE(map.summaries.size() == 1);
  CHECK(map.summaries[0].schedule == "15 others");
  CHECK(map.summaries[0].cells.back().words == "5.40 k");
}

TEST_CASE("a tuner's schedules: times relative to the fastest, what is used first and framed") {
  TuneResult result;
  result.tokens = {{.tokens = 1, .timings = {timing("cpu width=8 memory=cached", 10, 2), timing("cpu width=4 memory=cached", 12, 1)}, .best_any_fold = {}},
                   {.tokens = 8, .timings = {timing("cpu width=4 memory=cached", 50, 2)}, .best_any_fold = {}}};
  result.record.ranges = {{1, parse_schedule("cpu width=8 memory=cached"), 10, 1}, {3, parse_schedule("cpu width=4 memory=cached"), 50, 8}};
  const ScheduleMap map = map_of(result);
  REQUIRE(map.rows.size() == 2);
  CHECK(map.rows[0].schedule == "cpu width=8 memory=cached");
  CHECK(map.rows[0].cells[0].words == "1.00");
  CHECK(map.rows[0].cells[0].chosen);
  CHECK(map.rows[0].cells[1].words == "");
  CHECK(map.rows[1].cells[0].words == "≈1.20");
  CHECK(map.rows[1].cells[0].colour == "q3");
  CHECK(map.rows[1].cells[1].chosen);
}

TEST_CASE("without runners-up there are no times to show") {
  const ScheduleMap map = map_of({1, 8}, {"cpu width=8 memory=cached", "cpu width=8 memory=cached"});
  REQUIRE(map.rows.size() == 1);
  CHECK(map.rows[0].cells[1].words == "●");
  CHECK(contains(schedule_map_html(map), "<code>the one</code>"));
  CHECK(schedule_map_html(map_of({}, {})).empty());
}
