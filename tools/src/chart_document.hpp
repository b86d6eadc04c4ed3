#pragma once
#include <string>

#include "bench_result.hpp"

namespace isofold::tools {

/// Why a line, or a part of it, is not in the chart: "Batch-invariant (Triton) did not run: Triton is not
/// installed".
std::string absence(const BenchLine& line);

/// A complete SVG file: the panels one above the other, the legend, and in words what could not run and why.
std::string chart_svg(const BenchResult& result, bool log_tokens);

/// A complete HTML page that needs nothing else: the panels for wide and for narrow screens, light and dark,
/// every value within reach of the keyboard, the same values as a table, and how to look at the kernel behind
/// each point.
std::string chart_html(const BenchResult& result, bool log_tokens);

/// The parts of that page without title and frame: a sentence on what was found, legend, panels, tables.
std::string chart_parts(const BenchResult& result, bool log_tokens);

}  // namespace isofold::tools
