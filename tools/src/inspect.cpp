#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/cost_model.hpp>
#include <isofold/codegen/cpu_backend.hpp>
#include <isofold/codegen/cuda_emitter.hpp>
#include <isofold/error.hpp>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "fold_picture.hpp"
#include "numbers.hpp"
#include "programs.hpp"
#include "target.hpp"
#include "usage.hpp"

namespace isofold::tools {
namespace {

/// Everything that a view may need.
struct Inspection {
  const Console& console;
  Target& target;
  Problem problem;
  ChosenPlan chosen;
  std::int64_t tokens;

  const Plan& plan() const { return chosen.plan; }
};

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
        "--show {} does not exist for device {}; there are plan, tree, candidates, source, usage, {}", show,
        in.target.name(), others));
}

int show_plan(const Inspection& in) {
  const Plan& plan = in.plan();
  Json document = header(in, "plan");
  const auto line = [&](std::string_view key, const auto& value) {
    in.console.line("{} {}", in.console.bold(fmt::format("{:<12}", key)), value);
  };
  line("spec", text(plan.spec()));
  line("fold", text(plan.fold()));
  line("schedule", text(plan.schedule()));
  line("chosen by", in.chosen.origin);
  line("device", text(plan.device()));
  line("bits id", bits_id(plan.spec(), plan.fold()));
  line("plan digest", digest_of(plan));
  if (plan.is_gpu()) {
    const GpuShape shape = gpu_shape(plan);
    const std::uint32_t grid = grid_blocks(plan, in.tokens);
    const int cluster = plan.gpu().split == Split::cluster ? plan.gpu().blocks_per_row : 1;
    line("launch",
         fmt::format("{}: {} of {}, clusters of {}, {} of shared memory a block", counted(in.tokens, "token"),
                     counted(grid, "block"), counted(shape.block_threads, "thread"), cluster,
                     counted(shape.shared_bytes, "byte")));
    line("a thread",
         fmt::format("{} of {}, {} of each of {}", counted(shape.leaves_per_thread, "leaf"),
                     counted(plan.fold().leaf, "element"), counted(shape.lanes_per_thread, "lane"),
                     counted(shape.segments_per_warp, "segment")));
    document["launch"] = {{"grid_blocks", grid},
                          {"block_threads", shape.block_threads},
                          {"cluster_blocks", cluster},
                          {"shared_bytes", shape.shared_bytes},
                          {"leaves_per_thread", shape.leaves_per_thread}};
  }
  const std::int64_t bytes = bytes_moved(plan.spec(), in.tokens);
  line("memory", fmt::format("{} moved at least", byte_count(static_cast<double>(bytes))));
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

int show_candidates(const Inspection& in) {
  std::vector<Plan> plans = candidates(in.problem.spec, in.problem.fold, in.target.traits());
  std::erase_if(plans, needs_workspace);  // for verify alone: they are neither tuned nor chosen
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

std::string disassemble(const std::string& cubin) {
  const TemporaryFile file(cubin);
  std::vector<std::vector<std::string>> attempts;
  if (const auto nvdisasm = find_program("nvdisasm", cuda_program_folders()))
    attempts.push_back({*nvdisasm, file.path()});
  if (const auto cuobjdump = find_program("cuobjdump", cuda_program_folders()))
    attempts.push_back({*cuobjdump, "--dump-sass", file.path()});
  std::string failures;
  for (const std::vector<std::string>& command : attempts) {
    const ProgramResult result = run_program(command);
    if (result.status == 0) return result.output;
    failures += fmt::format("; {} said: {}", command[0], result.errors);
  }
  throw UsageError(
      "--show sass needs nvdisasm or cuobjdump of a CUDA toolkit, on PATH or in /usr/local/cuda/bin "
      "(packages "
      "cuda-nvdisasm and cuda-cuobjdump of NVIDIA, or nvidia-cuda-toolkit of Debian and Ubuntu); without "
      "them "
      "--show ptx is nearest" +
      failures);
}

int show_usage(const Inspection& in) {
  Json document = header(in, "usage");
  const std::int64_t bytes = bytes_moved(in.problem.spec, in.tokens);
  document["bytes_moved"] = bytes;
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
  in.console.line("memory        {} moved at least for {}: every input read once, every output written once",
                  byte_count(static_cast<double>(bytes)), counted(in.tokens, "token"));
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
  Target target(options.device);
  const Inspection in{console, target, problem,
                      target.choose(problem, options.schedule, tokens[0], static_cast<int>(alignment)),
                      tokens[0]};
  const std::string& show = options.show;
  if (show == "plan") return show_plan(in);
  if (show == "tree") return show_tree(in);
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
  return show_text(in, show, show == "ptx" ? image->ptx : disassemble(image->code));
}

}  // namespace isofold::tools
