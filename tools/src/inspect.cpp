#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/cost_model.hpp>
#include <isofold/codegen/cpu_backend.hpp>
#include <isofold/codegen/cuda_emitter.hpp>
#include <isofold/error.hpp>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "files.hpp"
#include "fold_picture.hpp"
#include "inspection.hpp"
#include "numbers.hpp"
#include "output_file.hpp"
#include "target.hpp"
#include "tree_document.hpp"
#include "usage.hpp"

namespace isofold::tools {
namespace {

Json header(const Inspection& in, std::string_view show) {
  const Plan& plan = in.plan();
  return {{"show", show},
          {"device", in.target.name()},
          {"tokens", in.tokens},
          {"spec", text(plan.spec())},
          {"fold", text(plan.fold())},
          {"schedule", text(plan.schedule())},
          {"origin", in.chosen.origin},
          {"bits_id", bits_id(plan.spec(), plan.fold())},
          {"plan_digest", digest_of(plan)}};
}

/// A view that is one text.
int show_text(const Inspection& in, std::string_view show, const std::string& content) {
  in.console.raw(content);
  if (!content.ends_with('\n')) in.console.line();
  Json document = header(in, show);
  document["text"] = content;
  in.console.document(document);
  return exit_ok;
}

void need(bool there, const Inspection& in, std::string_view show, std::string_view others) {
  if (!there)
    throw UsageError(fmt::format(
        "--show {} does not exist for device {}; there are plan, tree, svg, why, candidates, source, usage, {}", show,
        in.target.name(), others));
}

int show_plan(const Inspection& in) {
  const Plan& plan = in.plan();
  Json document = header(in, "plan");
  for (const auto& [name, value] : plan_facts(in))
    in.console.line("{} {}", in.console.bold(fmt::format("{:<12}", name)), value);
  if (plan.is_gpu()) {
    const GpuShape shape = gpu_shape(plan);
    const std::uint32_t grid = grid_blocks(plan, in.tokens);
    const int cluster = plan.gpu().split == Split::cluster ? plan.gpu().blocks_per_row : 1;
    document["launch"] = {{"grid_blocks", grid},
                          {"block_threads", shape.block_threads},
                          {"cluster_blocks", cluster},
                          {"shared_bytes", shape.shared_bytes},
                          {"leaves_per_thread", shape.leaves_per_thread}};
  }
  const std::int64_t bytes = bytes_moved(plan.spec(), in.tokens);
  in.console.line("{} {} moved at least", in.console.bold(fmt::format("{:<12}", "memory")),
                  byte_count(static_cast<double>(bytes)));
  document["bytes_moved"] = bytes;
  document["device_traits"] = text(plan.device());
  in.console.document(document);
  return exit_ok;
}

int show_tree(const Inspection& in) {
  const std::string picture = fold_picture(in.problem.spec, in.problem.fold, in.plan());
  in.console.line("{}", text(in.problem.fold));
  in.console.line("{}", text(in.plan().schedule()));
  in.console.line();
  in.console.raw(picture);
  Json document = header(in, "tree");
  Json steps = Json::array();
  for (const TreeStep& step : tree_steps(in.problem.spec, in.problem.fold, in.plan()))
    steps.push_back({{"step", step.name}, {"what", step.what}, {"where", step.where}});
  document["steps"] = steps;
  document["text"] = picture;
  in.console.document(document);
  return exit_ok;
}

int show_svg(const Inspection& in) {
  if (const std::string why = without_tree(in.problem.spec); !why.empty()) throw UsageError("--show svg: " + why);
  return show_text(in, "svg",
                   trees_svg(title_of(in.problem.spec) + ", one row",
                             {{text(in.problem.fold), fold_branch(in.problem.spec, in.problem.fold, in.plan()),
                               reduction_words(in.problem.spec)}}));
}

int show_why(const Inspection& in) {
  const Choosing choosing = choosing_of(in);
  in.console.line("{}", choosing.sentence);
  Table table({choosing.measured ? ">us" : ">estimate us", ">", "schedule"});
  Json list = Json::array();
  for (const auto& [schedule, microseconds] : choosing.times) {
    const double more = 100 * (microseconds / choosing.times.front().second - 1);
    table.row({short_number(microseconds), &schedule == &choosing.times.front().first ? "chosen" : fmt::format("{:+.1f} %", more),
               schedule});
    list.push_back({{"schedule", schedule}, {"microseconds", microseconds}});
  }
  table.print(in.console);
  Json document = header(in, "why");
  document["why"] = choosing.sentence;
  document["measured"] = choosing.measured;
  document["measured_tokens"] = choosing.tokens;
  document["schedules"] = list;
  in.console.document(document);
  return exit_ok;
}

int show_page(const Inspection& in, const std::string& file) {
  write_file_atomically(file, inspection_page(in), "page");
  in.console.line("{}", file);
  Json document = header(in, "page");
  document["page"] = file;
  in.console.document(document);
  return exit_ok;
}

int show_candidates(const Inspection& in) {
  const std::vector<Plan> plans = candidates(in.problem.spec, in.problem.fold, in.target.traits());
  Table table({">#", ">estimate us", "schedule"});
  Json list = Json::array();
  for (const std::size_t index : by_cost(plans, in.tokens)) {
    const double estimate = estimated_microseconds(plans[index], in.tokens);
    table.row({std::to_string(index), short_number(estimate), text(plans[index].schedule())});
    list.push_back({{"index", index},
                    {"estimated_microseconds", estimate},
                    {"schedule", text(plans[index].schedule())}});
  }
  table.print(in.console);
  in.console.line("{}, cheapest first by the cost model for {}",
                  counted(static_cast<std::int64_t>(plans.size()), "candidate"), counted(in.tokens, "token"));
  Json document = header(in, "candidates");
  document["candidates"] = list;
  in.console.document(document);
  return exit_ok;
}

int show_usage(const Inspection& in) {
  Json document = header(in, "usage");
  const MemoryNeed memory = memory_need(in);
  document["bytes_moved"] = memory.bytes;
  document["copy_microseconds"] = memory.microseconds ? Json(*memory.microseconds) : Json(nullptr);
  if (!in.plan().is_gpu()) {
    const std::string object = in.target.compile(in.plan())->code;
    in.console.line("object file   {}", byte_count(static_cast<double>(object.size())));
    document["object_bytes"] = object.size();
  } else {
    const std::shared_ptr<const KernelImage> image = in.target.compile(in.plan());
    Json kernels = Json::array();
    for (const KernelUsage& usage : usage_of(in.plan(), *image)) {
      print_usage(in.console, usage);
      kernels.push_back(to_json(usage));
    }
    document["kernels"] = kernels;
  }
  in.console.line("memory        {}", memory.words);
  in.console.document(document);
  return exit_ok;
}

}  // namespace

int run_inspect(const Console& console, const InspectArguments& options) {
  const Problem problem = options.op.problem();
  const std::vector<std::int64_t> tokens = parse_tokens(options.tokens);
  if (tokens.size() != 1) throw UsageError("--tokens has several values; inspect takes one");
  const std::int64_t alignment = parse_whole("--alignment", options.alignment, 1, 4096);
  if ((alignment & (alignment - 1)) != 0)
    throw UsageError(fmt::format("--alignment is {}; allowed is a power of two", alignment));
  if (!options.page.empty()) check_output_file(console, options.page);
  Target target(options.device);
  const Inspection in{console, target, problem,
                      target.choose(problem, options.schedule, tokens[0], static_cast<int>(alignment), options.workspace),
                      tokens[0]};
  const std::string& show = options.show;
  if (!options.page.empty()) return show_page(in, options.page);
  if (show == "plan") return show_plan(in);
  if (show == "tree") return show_tree(in);
  if (show == "svg") return show_svg(in);
  if (show == "why") return show_why(in);
  if (show == "candidates") return show_candidates(in);
  if (show == "usage") return show_usage(in);
  const bool gpu = target.is_gpu();
  if (show == "source") return show_text(in, show, gpu ? emit_cuda(in.plan()).text : cpu_ir(in.plan()));
  if (show == "llvm" || show == "asm") {
    need(!gpu, in, show, "ptx and sass");
    return show_text(in, show, show == "llvm" ? cpu_ir(in.plan()) : cpu_assembly(in.plan()));
  }
  need(gpu, in, show, "llvm and asm");
  const std::shared_ptr<const KernelImage> image = target.compile(in.plan());
  return show_text(in, show, show == "ptx" ? image->ptx : disassembled(image->code));
}

}  // namespace isofold::tools
