#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace isofold::tools {

/// One line over token counts; negative where there is no value.
struct Series {
  std::string key;  // class of its colour, as in chart_panel.hpp: "isofold", "any_fold", "copy"
  std::string name;
  std::vector<double> values;
};

/// Values against the number of tokens on a linear axis, for ratios and rates.
struct SeriesChart {
  std::string title, unit;  // "GB/s"; empty: none
  std::vector<std::int64_t> tokens;
  std::vector<Series> series;
  double from = 0;          // the axis begins here, or lower where values do
  int digits = 0;           // behind the point
};

/// A figure for wide and for narrow screens; each token count can be reached with the pointer and the keyboard and then shows
/// its values.
std::string series_html(const SeriesChart& chart);

}  // namespace isofold::tools
