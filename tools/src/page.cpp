#include "page.hpp"

#include <fmt/format.h>

#include "chart_panel.hpp"
#include "tree_drawing.hpp"

namespace isofold::tools {
namespace {

// A press of a key moves through what has a tabindex: columns of charts, and boxes that scroll.
constexpr const char* page_css = R"(
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1040px;margin:0 auto;padding:28px 20px 56px}
h1{font-size:1.55rem;line-height:1.25;margin:0 0 4px}
.subtitle,.note,footer{color:var(--soft);font-size:.9rem;margin:0 0 12px}
figure{margin:22px 0 0}
svg.wide,svg.narrow{display:block;width:100%;height:auto;overflow:visible}
svg.narrow{display:none}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:6px 22px;padding:0;margin:18px 0 0;font-size:.9rem}
.legend li{display:flex;align-items:center;gap:8px}
h2{font-size:1.15rem;margin:34px 0 10px}
h3{font-size:1rem;margin:20px 0 8px}
.column:focus .reach{stroke:var(--isofold);stroke-width:1.5}
.scroll{overflow-x:auto;margin-top:24px}
table{border-collapse:collapse;width:100%;font-size:.85rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:0 0 6px;position:sticky;left:0}
th,td{text-align:right;padding:5px 10px;border-bottom:1px solid var(--rule);white-space:nowrap}
.left{text-align:left;white-space:normal;min-width:9em}
thead th{color:var(--soft);font-weight:600;white-space:normal;vertical-align:bottom}
.facts th{width:1%;min-width:7em;color:var(--soft);font-weight:600}
.facts th,.facts td{text-align:left;vertical-align:top}
.facts td{white-space:normal;overflow-wrap:anywhere}
:focus-visible{outline:2px solid var(--isofold);outline-offset:2px}
pre.listing{white-space:pre;overflow-x:auto;max-height:70vh}
.map td,.map th{white-space:nowrap}
.map thead th{text-align:center;vertical-align:bottom}
.map td{text-align:center;padding:4px 8px;border:1px solid var(--paper)}
.map .left{min-width:0}
.q0{background:color-mix(in srgb,var(--isofold) 46%,transparent)}
.q1{background:color-mix(in srgb,var(--isofold) 32%,transparent)}
.q2{background:color-mix(in srgb,var(--isofold) 21%,transparent)}
.q3{background:color-mix(in srgb,var(--isofold) 12%,transparent)}
.q4{background:color-mix(in srgb,var(--isofold) 5%,transparent)}
.same{background:color-mix(in srgb,var(--triton) 30%,transparent)}
.differs{background:color-mix(in srgb,var(--compile) 45%,transparent);font-weight:700}
.refused{background:repeating-linear-gradient(135deg,transparent 0 4px,color-mix(in srgb,var(--compile) 30%,transparent) 4px 8px)}
.chosen{font-weight:700;outline:2px solid var(--isofold);outline-offset:-2px}
.good{color:var(--triton);font-weight:600}
.bad{color:var(--compile);font-weight:600}
section{border-top:1px solid var(--rule-strong);margin-top:36px}
details{margin-top:24px}
summary{cursor:pointer;font-weight:600}
dt{font-weight:600;font-size:.9rem;margin-top:8px}
dd{margin:0}
code{font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
pre{white-space:pre-wrap;background:var(--box);border:1px solid var(--rule);border-radius:6px;padding:12px}
@media (max-width:640px){svg.wide{display:none}svg.narrow{display:block}main{padding:20px 12px 40px}.facts th{white-space:normal}.map tbody th.left{white-space:normal;min-width:10.5em}h1{font-size:1.3rem}}
)";

}  // namespace

std::string html_page(const std::string& title, const std::string& body) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<meta name=\"color-scheme\" content=\"light dark\"/>\n<title>Isofold: "
      "{}</title>\n<style>\n{}{}{}</style>\n"
      "</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
      escaped(title), chart_css(":root"), branch_css(), page_css, body);
}

std::string html_facts(const std::vector<std::pair<std::string, std::string>>& facts) {
  std::string html = "<table class=\"facts\"><tbody>\n";
  for (const auto& [name, value] : facts)
    html += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escaped(name), escaped(value));
  return html + "</tbody></table>\n";
}

std::string html_listing(const std::string& summary, const std::string& text, bool open) {
  return fmt::format("<details{}><summary>{}</summary>\n<pre class=\"listing\" tabindex=\"0\"><code>{}</code></pre></details>\n",
                     open ? " open=\"open\"" : "", escaped(summary), escaped(text));
}

std::string html_table(const std::string& caption, const std::vector<std::string>& header,
                       const std::vector<std::vector<std::string>>& rows) {
  const auto left = [&](std::size_t column) {
    return column < header.size() && header[column].starts_with('<') ? " class=\"left\"" : "";
  };
  std::string html = fmt::format("<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{0}\"><table>\n<caption>{0}</caption>\n<thead><tr>",
                                 escaped(caption));
  for (std::size_t i = 0; i < header.size(); ++i)
    html += fmt::format("<th scope=\"col\"{}>{}</th>", left(i), escaped(header[i].substr(header[i].starts_with('<') ? 1 : 0)));
  html += "</tr></thead>\n<tbody>\n";
  for (const std::vector<std::string>& row : rows) {
    html += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) html += fmt::format("<td{}>{}</td>", left(i), row[i]);
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

}  // namespace isofold::tools
