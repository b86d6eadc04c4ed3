#include "inspection.hpp"

#include <isofold/codegen/candidates.hpp>
#include <isofold/codegen/cost_model.hpp>
#include <isofold/error.hpp>

#include <algorithm>

#include "programs.hpp"

namespace isofold::tools {

std::vector<std::pair<std::string, std::string>> plan_facts(const Inspection& in) {
  const Plan& plan = in.plan();
  std::vector<std::pair<std::string, std::string>> facts = {{"spec", text(plan.spec())},
                                                            {"fold", text(plan.fold())},
                                                            {"schedule", text(plan.schedule())},
                                                            {"chosen by", in.chosen.origin},
                                                            {"device", text(plan.device())},
                                                            {"bits id", bits_id(plan.spec(), plan.fold())},
                                                            {"plan digest", digest_of(plan)}};
  if (!plan.is_gpu()) return facts;
  const GpuShape shape = gpu_shape(plan);
  const int cluster = plan.gpu().split == Split::cluster ? plan.gpu().blocks_per_row : 1;
  facts.emplace_back("launch",
                     fmt::format("{}: {} of {}, clusters of {}, {} of shared memory a block", counted(in.tokens, "token"),
                                 counted(grid_blocks(plan, in.tokens), "block"), counted(shape.block_threads, "thread"),
                                 cluster, counted(shape.shared_bytes, "byte")));
  if (const std::size_t bytes = workspace_bytes(plan, in.tokens); bytes > 0)
    facts.emplace_back("workspace", fmt::format("{} for {}, in {} launches", byte_count(static_cast<double>(bytes)),
                                                counted(in.tokens, "token"), passes(plan.spec()).size() + 1));
  facts.emplace_back("a thread", fmt::format("{} of {}, {} of each of {}", counted(shape.leaves_per_thread, "leaf"),
                                             counted(plan.fold().leaf, "element"), counted(shape.lanes_per_thread, "lane"),
                                             counted(shape.segments_per_warp, "segment")));
  return facts;
}

Choosing choosing_of(const Inspection& in) {
  Choosing choosing;
  const std::string chosen = text(in.plan().schedule());
  if (in.chosen.origin.starts_with("table ")) {
    if (const auto range = in.target.measured_range(in.problem, in.tokens)) {
      choosing.measured = true;
      choosing.tokens = range->measured_tokens;
      choosing.sentence = fmt::format("It was the fastest of those measured over {} ({}{}).",
                                      counted(range->measured_tokens, "token"), in.chosen.origin,
                                      range->runners_up.empty() ? "; no runners-up are on record" : "");
      if (needs_workspace(in.plan()) && range->with_workspace)
        choosing.times.emplace_back(text(range->with_workspace->schedule), range->with_workspace->microseconds);
      choosing.times.emplace_back(text(range->schedule), range->microseconds);
      for (const MeasuredSchedule& other : range->runners_up)
        choosing.times.emplace_back(text(other.schedule), other.microseconds);
      return choosing;
    }
  }
  if (in.chosen.origin == "the command line") {
    choosing.sentence = "It was given on the command line; the cost model's estimates:";
  } else {
    choosing.sentence = fmt::format("Chosen by {}; the cost model's estimates, which order the candidates where nothing was measured "
                                    "(isofold tune measures):", in.chosen.origin);
  }
  constexpr std::size_t most = 5;
  choosing.tokens = in.tokens;
  choosing.times.emplace_back(chosen, estimated_microseconds(in.plan(), in.tokens));
  std::vector<Plan> plans = candidates(in.problem.spec, in.problem.fold, in.target.traits());
  if (!needs_workspace(in.plan())) std::erase_if(plans, [](const Plan& plan) { return needs_workspace(plan); });
  for (const std::size_t index : by_cost(plans, in.tokens))
    if (choosing.times.size() < most && text(plans[index].schedule()) != chosen)
      choosing.times.emplace_back(text(plans[index].schedule()), estimated_microseconds(plans[index], in.tokens));
  return choosing;
}

MemoryNeed memory_need(const Inspection& in) {
  MemoryNeed need;
  need.bytes = bytes_moved(in.problem.spec, in.tokens);
  need.words = fmt::format("{} moved at least for {}: every input read once, every output written once",
                           byte_count(static_cast<double>(need.bytes)), counted(in.tokens, "token"));
  need.microseconds = in.target.copy_microseconds(need.bytes);
  if (need.microseconds)
    need.words += fmt::format("; a copy that moves as much takes {} us here ({:.0f} GB/s)", short_number(*need.microseconds),
                              static_cast<double>(need.bytes) / *need.microseconds * 1e-3);
  else if (need.bytes > 0)
    need.words += fmt::format("; how long a copy of as much takes is measured on the device itself (--device cpu or cuda:<n>)");
  return need;
}

std::string disassembled(const std::string& cubin) {
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

}  // namespace isofold::tools
