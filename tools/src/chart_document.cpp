#include "chart_document.hpp"

#include <algorithm>

#include "chart_panel.hpp"
#include "page.hpp"
#include "svg_file.hpp"

namespace isofold::tools {
namespace {

constexpr int svg_width = 860;
constexpr int panel_height = 420;

std::vector<PanelTimes> panels_of(const BenchResult& result) {
  std::vector<PanelTimes> panels;
  for (const PanelTimes times : {PanelTimes::kernel, PanelTimes::call})
    if (has_times(result, times)) panels.push_back(times);
  return panels;
}

std::string subtitle(const BenchResult& result) {
  std::string device = result.device_name;
  std::replace(device.begin(), device.end(), '_', ' ');
  return fmt::format("{} · {} · {}", device, result.environment, result.date);
}

std::vector<std::string> absent_lines(const BenchResult& result) {
  std::vector<std::string> notes;
  for (const BenchLine& line : result.lines)
    if (!line.missing.empty()) notes.push_back(absence(line) + ".");
  return notes;
}

/// One sentence on what the chart shows: Isofold against the free fold, and against the copy.
std::string finding(const BenchResult& result) {
  const BenchLine* own = find_line(result, "isofold");
  const auto ratios = [&](const char* key) {
    std::pair<double, double> range{1e300, 0};
    const BenchLine* other = find_line(result, key);
    for (std::size_t i = 0; own && other && i < own->kernel.size() && i < other->kernel.size(); ++i)
      if (own->kernel[i] > 0 && other->kernel[i] > 0) {
        range.first = std::min(range.first, own->kernel[i] / other->kernel[i]);
        range.second = std::max(range.second, own->kernel[i] / other->kernel[i]);
      }
    return range;
  };
  const auto [least, most] = ratios("any_fold");
  std::string text = "Every point of Isofold's line has the same bits, whatever the number of tokens.";
  if (most > 0) {
    const std::string from = fmt::format("{:.2f}", least), to = fmt::format("{:.2f}", most);
    text += fmt::format(" It takes {} times the time of the fastest kernel that was found with the order free.",
                        from == to ? from : from + " to " + to);
  }
  return text;
}

/// The legend in rows that fit the width; `height` grows by what it takes.
std::string svg_legend(const BenchResult& result, double& height) {
  std::string svg;
  double x = 62;
  for (const BenchLine& line : result.lines) {
    if (!was_measured(line)) continue;
    const double width = 42 + 6.8 * static_cast<double>(columns_of(line.name)) + 20;
    if (x + width > svg_width) x = 62, height += 22;
    svg += fmt::format("<g transform=\"translate({:.0f} {:.0f})\">{}<text x=\"42\" y=\"10\">{}</text></g>\n",
                       x, height, legend_mark(line), escaped(line.name));
    x += width;
  }
  height += 30;
  return svg;
}

std::string html_legend(const BenchResult& result) {
  std::string html = "<ul class=\"legend\">\n";
  for (const BenchLine& line : result.lines)
    if (was_measured(line))
      html += fmt::format("<li><svg width=\"34\" height=\"12\" aria-hidden=\"true\">{}</svg> {}</li>\n",
                          legend_mark(line), escaped(line.name));
  return html + "</ul>\n";
}

std::string html_panel(const BenchResult& result, PanelTimes times, bool log_tokens) {
  const std::string title = escaped(panel_title(result, times));
  std::string html = "<figure>\n";
  for (const auto& [name, layout] : {std::pair{"wide", PanelLayout{960, 440, log_tokens, false}},
                                     std::pair{"narrow", PanelLayout{380, 400, log_tokens, true}}})
    html += fmt::format(
        "<svg class=\"{}\" viewBox=\"0 0 {} {}\" role=\"group\" aria-label=\"{}: execution time against "
        "number of tokens\">\n{}</svg>\n",
        name, layout.width, layout.height, title, panel_svg(result, times, layout));
  return html + "</figure>\n";
}

std::string times_table(const BenchResult& result, PanelTimes times) {
  const TimeUnit unit = time_unit(result);
  std::string html = fmt::format(
      "<div class=\"scroll\" tabindex=\"0\"><table>\n<caption>{}, {}</caption>\n<thead><tr><th>Tokens</th>",
      escaped(panel_title(result, times)), name_of(unit));
  const std::vector<const BenchLine*> lines = lines_of(result, times);
  for (const BenchLine* line : lines) html += fmt::format("<th>{}</th>", escaped(line->name));
  html += "</tr></thead>\n<tbody>\n";
  for (std::size_t i = 0; i < result.tokens.size(); ++i) {
    html += fmt::format("<tr><th>{}</th>", result.tokens[i]);
    for (const BenchLine* line : lines) {
      const double time = (times == PanelTimes::kernel ? line->kernel : line->call)[i];
      html += fmt::format("<td>{}</td>", time > 0 ? time_number(time, unit) : "–");
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

/// The schedule that ran behind each point of Isofold's line, and the command that shows its kernel.
std::string html_kernels(const BenchResult& result) {
  const BenchLine* own = find_line(result, "isofold");
  if (!own || own->detail.size() != result.tokens.size()) return {};
  std::string html = "<details><summary>The kernel behind each point</summary>\n<dl>\n";
  for (std::size_t i = 0; i < result.tokens.size(); ++i)
    html += fmt::format("<dt>{}</dt><dd><code>{}</code></dd>\n", counted(result.tokens[i], "token"),
                        escaped(own->detail[i]));
  html += "</dl>\n<p>Its source, with the reduction tree named in comments:</p>\n<pre><code>";
  html +=
      escaped(fmt::format("isofold inspect --spec '{}' --fold '{}' --tokens {} --device {} --show source",
                          result.spec, result.fold, result.tokens[result.tokens.size() / 2], result.device));
  return html + "</code></pre>\n</details>\n";
}

}  // namespace

std::string absence(const BenchLine& line) {
  return fmt::format("{} did not run{}: {}", line.name, was_measured(line) ? " at every token count" : "",
                     line.missing);
}

std::string chart_svg(const BenchResult& result, bool log_tokens) {
  const std::vector<PanelTimes> panels = panels_of(result);
  double height = 26;
  std::string body = fmt::format("<text class=\"title\" x=\"62\" y=\"{:.0f}\">{}: execution time</text>\n",
                                 height, escaped(result.title));
  height += 20;
  body += fmt::format("<text class=\"note\" x=\"62\" y=\"{:.0f}\">{}</text>\n", height,
                      escaped(subtitle(result)));
  height += 16;
  body += svg_legend(result, height);
  for (const PanelTimes times : panels) {
    body += fmt::format("<g transform=\"translate(0 {:.0f})\">\n{}</g>\n", height,
                        panel_svg(result, times, {svg_width, panel_height, log_tokens, false}));
    height += panel_height + 12;
  }
  std::vector<std::string> notes = {finding(result)};
  for (std::string& note : absent_lines(result)) notes.push_back(std::move(note));
  for (const std::string& note : notes)
    for (const std::string& line : wrapped(note, 118)) {
      body +=
          fmt::format("<text class=\"note\" x=\"62\" y=\"{:.0f}\">{}</text>\n", height + 8, escaped(line));
      height += 18;
    }
  height += 14;
  return svg_text({svg_width, height, "group", result.title + ": execution time against number of tokens",
                   ".title{font-size:18px;font-weight:600}\n", body});
}

std::string chart_parts(const BenchResult& result, bool log_tokens) {
  std::string body = fmt::format("<p>{}</p>\n", escaped(finding(result)));
  body += html_legend(result);
  for (const PanelTimes times : panels_of(result)) body += html_panel(result, times, log_tokens);
  for (const std::string& note : absent_lines(result))
    body += fmt::format("<p class=\"note\">{}</p>\n", escaped(note));
  body +=
      "<p class=\"note\">Point at a number of tokens, or move there with the Tab key, to read the "
      "values.</p>\n";
  for (const PanelTimes times : panels_of(result)) body += times_table(result, times);
  return body;
}

std::string chart_html(const BenchResult& result, bool log_tokens) {
  std::string body = fmt::format("<h1>{}: execution time against number of tokens</h1>\n<p class=\"subtitle\">{}</p>\n",
                                 escaped(result.title), escaped(subtitle(result)));
  body += chart_parts(result, log_tokens);
  body += html_kernels(result);
  body += fmt::format("<footer><p>Fold {} · bits id {}</p></footer>\n", escaped(result.fold),
                      escaped(result.bits_id));
  return html_page(result.title, body);
}

}  // namespace isofold::tools
