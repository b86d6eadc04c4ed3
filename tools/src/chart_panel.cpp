#include "chart_panel.hpp"

#include <algorithm>
#include <cmath>

namespace isofold::tools {
namespace {

/// Without an exponent, whatever the value.
std::string axis_label(double value) {
  std::string label = fmt::format("{:.7f}", value);
  label.erase(label.find_last_not_of('0') + 1);
  if (label.ends_with('.')) label.pop_back();
  return label;
}

/// About how wide text is at 12 pixels.
double text_width(std::string_view text) { return 6.6 * static_cast<double>(columns_of(text)); }

/// Where things are inside a panel.
class Frame {
 public:
  Frame(const BenchResult& result, PanelTimes times, const PanelLayout& layout)
      : unit(time_unit(result)), result_(result), layout_(layout) {
    left = layout.narrow ? 46 : 62;
    right = layout.width - (layout.narrow ? 10 : 18);
    top = 34;
    bottom = layout.height - 50;
    double least = 1e300, most = 0;
    for (const BenchLine* line : lines_of(result, times))
      for (const double time : times == PanelTimes::kernel ? line->kernel : line->call)
        if (time > 0) least = std::min(least, in_unit(time, unit)), most = std::max(most, in_unit(time, unit));
    lowest = nice_below(least * 0.92);
    highest = nice_above(most * 1.08);
    for (const double end : {lowest, highest}) left = std::max(left, (layout.narrow ? 14 : 30) + 1.12 * text_width(axis_label(end)));
  }

  double x(std::size_t i) const {
    const double room = right - left - 2 * inset;
    const std::size_t count = result_.tokens.size();
    if (count == 1) return left + inset + room / 2;
    if (!layout_.log_tokens)
      return left + inset + room * static_cast<double>(i) / static_cast<double>(count - 1);
    const double first = std::log2(static_cast<double>(result_.tokens.front()));
    const double last = std::log2(static_cast<double>(result_.tokens.back()));
    return left + inset + room * (std::log2(static_cast<double>(result_.tokens[i])) - first) / (last - first);
  }
  double y(double time) const {  // in the unit
    return bottom - (bottom - top) * std::log(time / lowest) / std::log(highest / lowest);
  }
  double decades() const { return std::log10(highest / lowest); }

  std::string time_text(double microseconds) const { return fmt::format("{} {}", time_number(microseconds, unit), name_of(unit)); }

  TimeUnit unit;
  double left, right, top, bottom, lowest, highest;

 private:
  static constexpr double inset = 22;
  static constexpr double steps[] = {1, 2, 5, 10};
  static double nice_below(double value) {
    const double decade = std::pow(10.0, std::floor(std::log10(value)));
    double nice = decade;
    for (const double step : steps)
      if (step * decade <= value) nice = step * decade;
    return nice;
  }
  static double nice_above(double value) {
    const double decade = std::pow(10.0, std::floor(std::log10(value)));
    for (const double step : steps)
      if (step * decade >= value) return step * decade;
    return 10 * decade;
  }

  const BenchResult& result_;
  const PanelLayout& layout_;
};

const std::vector<double>& times_of(const BenchLine& line, PanelTimes times) {
  return times == PanelTimes::kernel ? line.kernel : line.call;
}

std::string time_axis(const Frame& frame) {
  std::string svg;
  const bool label_all = frame.decades() <= 3.2;
  for (double decade = std::pow(10.0, std::floor(std::log10(frame.lowest))); decade <= frame.highest * 1.001;
       decade *= 10)
    for (const double step : {1.0, 2.0, 5.0}) {
      const double value = step * decade;
      if (value < frame.lowest * 0.999 || value > frame.highest * 1.001) continue;
      const double y = frame.y(value);
      const bool major = step == 1.0;
      svg += fmt::format("<line class=\"{}\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>\n",
                         major ? "grid major" : "grid", frame.left, frame.right, y, y);
      if (major || label_all)
        svg += fmt::format("<text class=\"tick\" text-anchor=\"end\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                           frame.left - 7, y + 4, axis_label(value));
    }
  return svg;
}

std::string token_axis(const BenchResult& result, const Frame& frame, const PanelLayout& layout) {
  std::string svg;
  double free_from = -1e9;
  for (std::size_t i = 0; i < result.tokens.size(); ++i) {
    const std::string label = std::to_string(result.tokens[i]);
    const double x = frame.x(i), half = text_width(label) / 2;
    svg += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\"/>\n",
                       x, frame.bottom, frame.bottom + 5);
    if (x - half < free_from) continue;  // where labels would touch, some are left out
    free_from = x + half + 5;
    svg += fmt::format("<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", x,
                       frame.bottom + 19, label);
  }
  svg += fmt::format(
      "<text class=\"axis\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{}\">Number of tokens</text>\n",
      (frame.left + frame.right) / 2, layout.height - 10);
  return svg;
}

std::string marker(const BenchLine& line, double x, double y) {
  if (line.key == "copy" || line.key == "empty") return "";
  const std::string at = fmt::format("class=\"mark {}\"", line.key);
  if (line.key == "any_fold")
    return fmt::format("<circle {} cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5.5\"/>", at, x, y);
  if (line.key == "python")
    return fmt::format("<rect {} x=\"{:.1f}\" y=\"{:.1f}\" width=\"8\" height=\"8\"/>", at, x - 4, y - 4);
  if (line.key == "native")
    return fmt::format("<path {} d=\"M{:.1f} {:.1f}l9 9m0 -9l-9 9\"/>", at, x - 4.5, y - 4.5);
  if (line.key == "compile")
    return fmt::format("<path {} d=\"M{:.1f} {:.1f}l5 5.5l-5 5.5l-5 -5.5z\"/>", at, x, y - 5.5);
  if (line.key == "triton") return fmt::format("<path {} d=\"M{:.1f} {:.1f}l5 8.6h-10z\"/>", at, x, y - 5.5);
  return fmt::format("<circle {} cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"/>", at, x, y);
}

std::string line_svg(const BenchLine& line, PanelTimes times, const Frame& frame) {
  std::string path, marks;
  bool pen_down = false;
  const std::vector<double>& values = times_of(line, times);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] <= 0) {
      pen_down = false;
      continue;
    }
    const double x = frame.x(i), y = frame.y(in_unit(values[i], frame.unit));
    const bool alone = !pen_down && (i + 1 == values.size() || values[i + 1] <= 0);
    path += alone ? lone_point(x, y) : fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", x, y);
    pen_down = true;
    marks += marker(line, x, y) + "\n";
  }
  return fmt::format("<path class=\"line {}\" d=\"{}\"/>\n{}", line.key, path, marks);
}

/// The values of one token count in words, and in a box that shows when the column has the pointer or the
/// focus.
std::string column_svg(const BenchResult& result, PanelTimes times, const Frame& frame, std::size_t i) {
  const std::size_t count = result.tokens.size();
  const double x = frame.x(i);
  const double from = i == 0 ? frame.left : (frame.x(i - 1) + x) / 2;
  const double to = i + 1 == count ? frame.right : (x + frame.x(i + 1)) / 2;
  const std::string title = counted(result.tokens[i], "token");

  struct Entry {
    const BenchLine* line;
    double time;
  };
  std::vector<Entry> entries;
  for (const BenchLine* line : lines_of(result, times))
    if (const double time = times_of(*line, times)[i]; time > 0) entries.push_back({line, time});
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.time > b.time; });

  double width = text_width(title) + 24;
  std::string words = title;
  for (const Entry& entry : entries) {
    width = std::max(width, text_width(entry.line->name) + text_width(frame.time_text(entry.time)) + 58);
    words += fmt::format("; {}: {}", entry.line->name, frame.time_text(entry.time));
  }
  width = std::min(width, frame.right - frame.left);
  const double height = 30 + 18 * static_cast<double>(entries.size());
  const double box_x = std::clamp(x < (frame.left + frame.right) / 2 ? x + 12 : x - 12 - width, frame.left,
                                  frame.right - width);
  const double box_y = frame.top + 6;
  std::string svg =
      fmt::format("<g class=\"column\" tabindex=\"0\" role=\"img\" aria-label=\"{0}\"><title>{0}</title>\n",
                  escaped(words));
  svg += fmt::format("<rect class=\"reach\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>\n",
                     from, frame.top, to - from, frame.bottom - frame.top);
  svg += fmt::format(
      "<g class=\"tip\"><line class=\"guide\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" "
      "y2=\"{2:.1f}\"/>\n",
      x, frame.top, frame.bottom);
  svg += fmt::format(
      "<rect class=\"box\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"6\"/>\n", box_x,
      box_y, width, height);
  svg += fmt::format("<text class=\"tip-title\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", box_x + 12,
                     box_y + 19, title);
  for (std::size_t e = 0; e < entries.size(); ++e) {
    const double y = box_y + 38 + 18 * static_cast<double>(e);
    svg += fmt::format("<g transform=\"translate({:.1f} {:.1f}) scale(0.7)\">{}</g>", box_x + 10, y - 8,
                       legend_mark(*entries[e].line));
    svg += fmt::format("<text class=\"tip-text\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", box_x + 38, y,
                       escaped(entries[e].line->name));
    svg += fmt::format("<text class=\"tip-value\" text-anchor=\"end\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                       box_x + width - 12, y, frame.time_text(entries[e].time));
  }
  return svg + "</g></g>\n";
}

}  // namespace

std::vector<const BenchLine*> lines_of(const BenchResult& result, PanelTimes times) {
  std::vector<const BenchLine*> lines;
  for (const BenchLine& line : result.lines) {
    const std::vector<double>& values = times_of(line, times);
    if (std::any_of(values.begin(), values.end(), [](double time) { return time > 0; }))
      lines.push_back(&line);
  }
  return lines;
}

bool has_times(const BenchResult& result, PanelTimes times) { return !lines_of(result, times).empty(); }

std::string panel_title(const BenchResult& result, PanelTimes times) {
  if (!result.gpu) return "Time of a call";
  return times == PanelTimes::kernel ? "GPU time of a launch" : "A whole call, until its result is there";
}

std::string panel_svg(const BenchResult& result, PanelTimes times, const PanelLayout& layout) {
  const Frame frame(result, times, layout);
  std::string svg = fmt::format("<text class=\"panel-title\" x=\"{:.1f}\" y=\"18\">{}</text>\n", frame.left,
                                escaped(panel_title(result, times)));
  svg += time_axis(frame) + token_axis(result, frame, layout);
  if (layout.narrow)
    svg += fmt::format("<text class=\"axis\" text-anchor=\"end\" x=\"{:.1f}\" y=\"18\">{}</text>\n",
                       frame.left - 7, name_of(frame.unit));
  else
    svg += fmt::format(
        "<text class=\"axis\" text-anchor=\"middle\" transform=\"translate(14 {:.1f}) rotate(-90)\">"
        "Execution time ({})</text>\n",
        (frame.top + frame.bottom) / 2, name_of(frame.unit));
  // What matters most is drawn last, on top.
  const std::vector<const BenchLine*> lines = lines_of(result, times);
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) svg += line_svg(**line, times, frame);
  for (std::size_t i = 0; i < result.tokens.size(); ++i) svg += column_svg(result, times, frame, i);
  return svg;
}

std::string lone_point(double x, double y) { return fmt::format("M{:.1f} {:.1f}h12", x - 6, y); }

std::string legend_mark(const BenchLine& line) {
  return fmt::format("<path class=\"line {}\" d=\"M0 6H34\"/>{}", line.key, marker(line, 17, 6));
}

std::string chart_css(std::string_view root) {
  // Colours that are told apart without red and green, and markers of their own; the last two lines are quiet
  // on purpose.
  constexpr std::string_view light =
      "--paper:#ffffff;--ink:#1b1f24;--soft:#59636e;--rule:#e4e8ec;--rule-strong:#c3cad2;"
      "--isofold:#0a5fd0;--any-fold:#e07b00;--python:#8a3fc7;--native:#39424e;--compile:#c2255c;--triton:#"
      "0f8a6d;"
      "--quiet:#8b949e;--box:#ffffff;";
  constexpr std::string_view dark =
      "--paper:#0f1318;--ink:#e8ecf1;--soft:#9aa5b1;--rule:#232a33;--rule-strong:#3d4752;"
      "--isofold:#62aaff;--any-fold:#ffa63d;--python:#cb95f5;--native:#d5dbe3;--compile:#ff7aa8;--triton:#"
      "4fd1ae;"
      "--quiet:#7d8792;--box:#1a2029;";
  return fmt::format("{0}{{{1}}}\n@media (prefers-color-scheme:dark){{{0}{{{2}}}}}\n", root, light, dark) +
         R"(text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:var(--ink);font-size:12px}
.panel-title{font-size:14px;font-weight:600}
.tick{fill:var(--soft)}
.axis,.note{fill:var(--soft)}
.grid{stroke:var(--rule);stroke-width:1}
.grid.major{stroke:var(--rule-strong)}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.line.isofold{stroke:var(--isofold);stroke-width:3}
.line.any_fold{stroke:var(--any-fold);stroke-dasharray:7 5}
.line.python{stroke:var(--python)}
.line.native{stroke:var(--native)}
.line.compile{stroke:var(--compile)}
.line.triton{stroke:var(--triton)}
.line.copy{stroke:var(--quiet);stroke-width:1.5;stroke-dasharray:2 4}
.line.empty{stroke:var(--quiet);stroke-width:1;stroke-dasharray:8 3 2 3}
.mark.isofold{fill:var(--isofold)}
.mark.any_fold{fill:none;stroke:var(--any-fold);stroke-width:2}
.mark.python{fill:var(--python)}
.mark.native{fill:none;stroke:var(--native);stroke-width:2}
.mark.compile{fill:var(--compile)}
.mark.triton{fill:var(--triton)}
.reach{fill:transparent}
.tip{visibility:hidden;pointer-events:none}
.column{outline:none}
.column:hover .tip,.column:focus .tip{visibility:visible}
.guide{stroke:var(--soft);stroke-width:1}
.box{fill:var(--box);stroke:var(--rule-strong)}
.tip-title{font-weight:600}
.tip-value{font-variant-numeric:tabular-nums}
)";
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        // Control characters have no place in XML; the bytes of UTF-8 pass.
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\n') out += c;
    }
  }
  return out;
}

}  // namespace isofold::tools
