#include "series_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "chart_panel.hpp"
#include "console.hpp"

namespace isofold::tools {
namespace {

double text_width(std::string_view text) { return 6.6 * static_cast<double>(columns_of(text)); }

/// 1, 2 or 5 times a power of ten, so that `range` takes at most `most` steps.
double step_for(double range, int most) {
  const double decade = std::pow(10.0, std::floor(std::log10(range / most)));
  for (const double step : {1.0, 2.0, 5.0})
    if (range / (step * decade) <= most) return step * decade;
  return 10 * decade;
}

class Drawing {
 public:
  Drawing(const SeriesChart& chart, int width, int height, bool narrow)
      : chart_(chart), left_(narrow ? 46 : 62), right_(width - (narrow ? 10 : 18)), bottom_(height - 50), height_(height) {
    double least = chart.from, most = chart.from;
    bool any = false;
    for (const Series& series : chart.series)
      for (const double value : series.values)
        if (value >= 0) {
          least = std::min(least, value);
          most = any ? std::max(most, value) : std::max(chart.from, value);
          any = true;
        }
    if (most <= least) most = least + 1;
    step_ = step_for((most - least) * 1.05, 6);
    low_ = std::floor(least / step_ + 1e-9) * step_;
    high_ = std::ceil(most * 1.0001 / step_ - 1e-9) * step_;
    digits_ = std::max(0, static_cast<int>(std::ceil(-std::log10(step_) - 1e-9)));
    left_ = std::max(left_, 12 + text_width(fmt::format("{:.{}f}", high_, digits_)));
  }

  std::string svg() const {
    std::string svg = axes();
    for (auto series = chart_.series.rbegin(); series != chart_.series.rend(); ++series) svg += line(*series);
    for (std::size_t i = 0; i < chart_.tokens.size(); ++i) svg += column(i);
    return svg;
  }

 private:
  static constexpr double top_ = 34, inset_ = 22;

  double x(std::size_t i) const {
    const double room = right_ - left_ - 2 * inset_;
    const std::size_t count = chart_.tokens.size();
    return left_ + inset_ + (count == 1 ? room / 2 : room * static_cast<double>(i) / static_cast<double>(count - 1));
  }
  double y(double value) const { return bottom_ - (bottom_ - top_) * (value - low_) / (high_ - low_); }

  std::string axes() const {
    std::string svg;
    for (double value = low_; value <= high_ + step_ / 2; value += step_)
      svg += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
                         "<text class=\"tick\" text-anchor=\"end\" x=\"{3:.1f}\" y=\"{4:.1f}\">{5:.{6}f}</text>\n",
                         left_, right_, y(value), left_ - 7, y(value) + 4, value, digits_);
    double free_from = -1e9;
    for (std::size_t i = 0; i < chart_.tokens.size(); ++i) {
      const std::string label = std::to_string(chart_.tokens[i]);
      const double half = text_width(label) / 2;
      if (x(i) - half < free_from) continue;  // where labels would touch, some are left out
      free_from = x(i) + half + 5;
      svg += fmt::format("<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", x(i), bottom_ + 19,
                         label);
    }
    svg += fmt::format("<text class=\"axis\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{}\">Number of tokens</text>\n",
                       (left_ + right_) / 2, height_ - 10);
    return svg + fmt::format("<text class=\"panel-title\" x=\"{:.1f}\" y=\"18\">{}{}</text>\n", left_, escaped(chart_.title),
                             chart_.unit.empty() ? "" : ", " + escaped(chart_.unit));
  }

  std::string line(const Series& series) const {
    std::string path, marks;
    bool down = false;
    for (std::size_t i = 0; i < series.values.size(); ++i) {
      const double value = series.values[i];
      if (value >= 0) {
        const bool alone = !down && (i + 1 == series.values.size() || series.values[i + 1] < 0);
        path += alone ? lone_point(x(i), y(value)) : fmt::format("{}{:.1f} {:.1f}", down ? "L" : "M", x(i), y(value));
        marks += fmt::format("<circle class=\"mark {}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"/>\n", series.key, x(i), y(value));
      }
      down = value >= 0;
    }
    return fmt::format("<path class=\"line {}\" d=\"{}\"/>\n{}", series.key, path.empty() ? "M0 0" : path,
                       series.key == "copy" ? "" : marks);
  }

  std::string column(std::size_t i) const {
    const std::size_t count = chart_.tokens.size();
    const double from = i == 0 ? left_ : (x(i - 1) + x(i)) / 2, to = i + 1 == count ? right_ : (x(i) + x(i + 1)) / 2;
    const std::string title = counted(chart_.tokens[i], "token");
    std::vector<std::pair<std::string, std::string>> lines;
    double width = text_width(title) + 24;
    std::string words = title;
    for (const Series& series : chart_.series)
      if (i < series.values.size() && series.values[i] >= 0) {
        lines.emplace_back(series.name, fmt::format("{:.{}f}{}", series.values[i], chart_.digits,
                                                    chart_.unit.empty() ? "" : " " + chart_.unit));
        width = std::max(width, text_width(lines.back().first) + text_width(lines.back().second) + 40);
        words += fmt::format("; {}: {}", lines.back().first, lines.back().second);
      }
    width = std::min(width, right_ - left_);
    const double box_x = std::clamp(x(i) < (left_ + right_) / 2 ? x(i) + 12 : x(i) - 12 - width, left_, right_ - width);
    std::string svg = fmt::format(
        "<g class=\"column\" tabindex=\"0\" role=\"img\" aria-label=\"{0}\"><title>{0}</title>\n<rect class=\"reach\" x=\"{1:.1f}\" "
        "y=\"{2:.1f}\" width=\"{3:.1f}\" height=\"{4:.1f}\"/>\n<g class=\"tip\"><line class=\"guide\" x1=\"{5:.1f}\" x2=\"{5:.1f}\" "
        "y1=\"{2:.1f}\" y2=\"{6:.1f}\"/>\n<rect class=\"box\" x=\"{7:.1f}\" y=\"{8:.1f}\" width=\"{9:.1f}\" height=\"{10:.1f}\" "
        "rx=\"6\"/>\n<text class=\"tip-title\" x=\"{11:.1f}\" y=\"{12:.1f}\">{13}</text>\n",
        escaped(words), from, top_, to - from, bottom_ - top_, x(i), bottom_, box_x, top_ + 6, width,
        30 + 18 * static_cast<double>(lines.size()), box_x + 12, top_ + 25, title);
    for (std::size_t l = 0; l < lines.size(); ++l)
      svg += fmt::format("<text class=\"tip-text\" x=\"{0:.1f}\" y=\"{1:.1f}\">{2}</text><text class=\"tip-value\" "
                         "text-anchor=\"end\" x=\"{3:.1f}\" y=\"{1:.1f}\">{4}</text>\n",
                         box_x + 12, top_ + 44 + 18 * static_cast<double>(l), escaped(lines[l].first), box_x + width - 12,
                         escaped(lines[l].second));
    return svg + "</g></g>\n";
  }

  const SeriesChart& chart_;
  double left_, right_, bottom_;
  int height_;
  double step_ = 1, low_ = 0, high_ = 1;
  int digits_ = 0;  // behind the point, of the labels
};

}  // namespace

std::string series_html(const SeriesChart& chart) {
  std::string html = "<figure>\n";
  struct Form {
    const char* name;
    int width, height;
    bool narrow;
  };
  for (const Form& form : {Form{"wide", 960, 300, false}, Form{"narrow", 380, 300, true}})
    html += fmt::format("<svg class=\"{}\" viewBox=\"0 0 {} {}\" role=\"group\" aria-label=\"{} against number of tokens\">\n{}</svg>\n",
                        form.name, form.width, form.height, escaped(chart.title),
                        Drawing(chart, form.width, form.height, form.narrow).svg());
  return html + "</figure>\n";
}

}  // namespace isofold::tools
