#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "bench_result.hpp"
#include "time_unit.hpp"

namespace isofold::tools {

/// Which times a panel shows.
enum class PanelTimes { kernel, call };

struct PanelLayout {
  int width = 860, height = 420;  // of the whole panel, in CSS pixels
  bool log_tokens = false;        // a logarithmic token axis instead of one step per token count
  bool narrow = false;            // less room for text
};

/// The lines that a panel shows, in the order of the legend.
std::vector<const BenchLine*> lines_of(const BenchResult& result, PanelTimes times);

/// True when at least one line has a time to show.
bool has_times(const BenchResult& result, PanelTimes times);

/// A panel's title: "GPU time of a launch", ...
std::string panel_title(const BenchResult& result, PanelTimes times);

/// Execution time in the result's unit (log) against the number of tokens, as SVG elements without an <svg> around
/// them, with the upper left corner at (0, 0). Each token count is a group that can be reached with the
/// pointer and the keyboard and then shows its values; no script is needed.
std::string panel_svg(const BenchResult& result, PanelTimes times, const PanelLayout& layout);

/// What a line's path has for a point without neighbours: a short dash.
std::string lone_point(double x, double y);

/// Line and marker of a legend entry, 34 x 12 pixels.
std::string legend_mark(const BenchLine& line);

/// What the classes of `panel_svg` look like, light and dark. `root` is the selector that gets the colours.
std::string chart_css(std::string_view root);

/// Text for XML: <, >, &, quotes.
std::string escaped(std::string_view text);

}  // namespace isofold::tools
