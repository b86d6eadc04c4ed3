#include <isofold/codegen/cpu_backend.hpp>
#include <isofold/codegen/cuda_emitter.hpp>
#include <isofold/error.hpp>

#include "chart_panel.hpp"
#include "fold_picture.hpp"
#include "inspection.hpp"
#include "page.hpp"
#include "tree_document.hpp"
#include "usage.hpp"

namespace isofold::tools {
namespace {

std::string heading(const char* title) { return fmt::format("<h2>{}</h2>\n", title); }

std::string paragraph(const std::string& words) { return fmt::format("<p>{}</p>\n", escaped(words)); }

std::string tree_part(const Inspection& in) {
  const Spec& spec = in.problem.spec;
  std::string html = heading("The reduction tree");
  if (const std::string why = without_tree(spec); !why.empty()) return html + paragraph(why);
  html += trees_html({{"", fold_branch(spec, in.problem.fold, in.plan()), reduction_words(spec)}});
  std::vector<std::vector<std::string>> rows;
  for (const TreeStep& step : tree_steps(spec, in.problem.fold, in.plan()))
    rows.push_back({escaped(step.name), escaped(step.what), escaped(step.where)});
  return html + html_table("Who does what", {"<level", "<rule", "<where"}, rows);
}

std::string why_part(const Inspection& in) {
  const Choosing choosing = choosing_of(in);
  std::vector<std::vector<std::string>> rows;
  for (const auto& [schedule, microseconds] : choosing.times)
    rows.push_back({short_number(microseconds),
                    rows.empty() ? "chosen" : fmt::format("{:+.1f} %", 100 * (microseconds / choosing.times.front().second - 1)),
                    fmt::format("<code>{}</code>", escaped(schedule))});
  return heading("Why this schedule") + paragraph(choosing.sentence) +
         html_table(fmt::format("{} over {}", choosing.measured ? "Measured" : "Estimated", counted(choosing.tokens, "token")),
                    {"µs", "", "<schedule"}, rows);
}

std::string usage_part(const Inspection& in, const KernelImage& image) {
  std::vector<std::pair<std::string, std::string>> facts;
  if (in.plan().is_gpu()) {
    for (const KernelUsage& usage : usage_of(in.plan(), image)) {
      facts.emplace_back("kernel", usage.resources.kernel);
      facts.emplace_back("registers", fmt::format("{} a thread; {} spilled", usage.resources.registers,
                                                  counted(usage.spill_bytes, "byte")));
      facts.emplace_back("shared memory", fmt::format("{} a block", counted(usage.shared_bytes, "byte")));
      facts.emplace_back("occupancy", fmt::format("about {:.0f} %: {} of {} on a multiprocessor, limited by {}",
                                                  100 * usage.occupancy, counted(usage.blocks_per_multiprocessor, "block"),
                                                  counted(usage.block_threads, "thread"), usage.limited_by));
    }
  } else {
    facts.emplace_back("object file", byte_count(static_cast<double>(image.code.size())));
  }
  facts.emplace_back("memory", memory_need(in).words);
  return heading("What it takes") + html_facts(facts);
}

}  // namespace

std::string inspection_page(const Inspection& in) {
  const bool gpu = in.plan().is_gpu();
  std::string body = fmt::format("<h1>{}, {} on {}</h1>\n", escaped(title_of(in.problem.spec)), counted(in.tokens, "token"),
                                 escaped(in.target.name()));
  body += heading("The plan") + html_facts(plan_facts(in)) + tree_part(in) + why_part(in);
  std::shared_ptr<const KernelImage> image;
  std::string missing;
  try {
    image = in.target.compile(in.plan());
  } catch (const UsageError& error) {
    missing = error.what();
  }
  if (image)
    body += usage_part(in, *image);
  else
    body += heading("What it takes") + html_facts({{"memory", memory_need(in).words}});
  body += heading("The kernel");
  body += html_listing(gpu ? "CUDA source" : "LLVM IR", gpu ? emit_cuda(in.plan()).text : cpu_ir(in.plan()), gpu);
  if (!gpu) {
    body += html_listing("Assembly", cpu_assembly(in.plan()));
  } else if (image) {
    if (!image->ptx.empty()) body += html_listing("PTX", image->ptx);
    try {
      body += html_listing("SASS", disassembled(image->code));
    } catch (const UsageError& error) {
      body += paragraph(error.what());
    }
  }
  if (!missing.empty()) body += paragraph(missing.substr(0, missing.find('\n')));
  return html_page(fmt::format("{}, {}", title_of(in.problem.spec), counted(in.tokens, "token")), body);
}

}  // namespace isofold::tools
