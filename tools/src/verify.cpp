#include <isofold/codegen/candidates.hpp>
#include <isofold/error.hpp>

#include <unistd.h>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "commands.hpp"
#include "numbers.hpp"
#include "output_hashes.hpp"
#include "runtime_impl.hpp"
#include "target.hpp"
#include "verifier.hpp"

namespace isofold::tools {
namespace {

/// What one part of a verification did.
struct Part {
  std::string name;
  VerifyCounts counts;
};

/// Token counts at which a schedule or an unusual placement is tried: powers of two, primes and their
/// neighbours.
constexpr std::int64_t sampled_tokens[] = {1, 2, 3, 5, 8, 13, 31, 32, 33, 64, 127, 200, 257};
constexpr std::size_t plans_at_once = 32;
constexpr std::int64_t pool_elements = std::int64_t{1} << 22;

std::int64_t pool_rows(const Spec& spec) {
  return std::clamp<std::int64_t>(pool_elements / spec.n, 104, 1040);
}

/// One problem on one device.
class Verification {
 public:
  Verification(const Console& console, const VerifyArguments& options, const Runtime& runtime,
               const Problem& problem, std::shared_ptr<const RowPool> pool, Progress& progress)
      : console_(console),
        options_(options),
        runtime_(runtime),
        problem_(problem),
        pool_(std::move(pool)),
        progress_(progress),
        seed_(static_cast<std::uint64_t>(
            parse_whole("--seed", options.seed, 0, std::numeric_limits<std::int64_t>::max()))) {}

  std::vector<Part> run() {
    const std::vector<std::int64_t> tokens = parse_tokens(options_.tokens);
    if (!options_.schedule.empty()) {
      check_schedules("the schedule given", {plan_given()}, Placement{}, tokens);
      return parts_;
    }
    Operator op = runtime_.make_operator(problem_.spec, problem_.fold);
    check_operator("as launched", op, with_boundaries(tokens, op), Placement{});
    for (std::int64_t step = 1; step < problem_.fold.leaf; step *= 2)
      check_operator(fmt::format("{} element{} off alignment", step, step == 1 ? "" : "s"), op,
                     sampled(tokens.back()), {step, step});
    if (options_.all_schedules)
      for (std::int64_t step = problem_.fold.leaf; step >= 1; step /= 2)
        check_all_schedules(step, tokens.back());
    return parts_;
  }

 private:
  Plan plan_given() const {
    return make_plan(problem_.spec, problem_.fold, parse_schedule(options_.schedule), runtime_.device())
        .value();
  }

  static std::vector<std::int64_t> sampled(std::int64_t most) {
    std::vector<std::int64_t> tokens(std::begin(sampled_tokens), std::end(sampled_tokens));
    std::erase_if(tokens, [&](std::int64_t count) { return count > most; });
    return tokens;
  }

  /// Rows for which all tensors take less than half of the memory that is free.
  std::int64_t most_rows() const {
    const ContextPointer& context = runtime_.impl()->context();
    const double memory =
        context ? static_cast<double>(context->free_memory())
                : static_cast<double>(sysconf(_SC_AVPHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
    double row = 0;
    for (std::size_t t = 0; t < problem_.spec.inputs.size(); ++t)
      row += static_cast<double>(pool_->input_row_bytes(t));
    for (std::size_t t = 0; t < problem_.spec.outputs.size(); ++t)
      row += static_cast<double>(pool_->output_row_bytes(t));
    return static_cast<std::int64_t>(memory / 2 / row);
  }

  /// Both sides of every boundary too, as far as they fit.
  std::vector<std::int64_t> with_boundaries(std::vector<std::int64_t> tokens, const Operator& op) const {
    const std::int64_t most = most_rows();
    if (tokens.back() > most)
      throw UsageError(
          fmt::format("--tokens: {} rows do not fit, the device has room for about {}", tokens.back(), most));
    std::size_t skipped = 0;
    for (const std::int64_t boundary : op.boundaries())
      for (const std::int64_t side : {boundary - 1, boundary}) {
        if (side >= 1 && side <= most)
          tokens.push_back(side);
        else
          skipped += side > most;
      }
    if (skipped > 0)
      console_.remark("{} token counts beside boundaries are too many rows for this device's memory",
                      skipped);
    std::sort(tokens.begin(), tokens.end());
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    return tokens;
  }

  void check_operator(const std::string& name, Operator& op, const std::vector<std::int64_t>& tokens,
                      Placement placement) {
    Verifier verifier(runtime_, pool_, tokens.back(), placement, seed_);
    std::size_t done = 0;
    for (const std::int64_t count : tokens) {
      progress_.update("verify", done++, tokens.size());
      if (interrupted()) break;
      verifier.check(
          [&](CUstream_st* stream, auto inputs, auto outputs) { op.launch(stream, inputs, outputs, count); },
          count, op.choice(count).schedule);
    }
    parts_.push_back({name, verifier.counts()});
  }

  void check_all_schedules(std::int64_t vector_limit, std::int64_t most_tokens) {
    std::vector<Plan> plans =
        candidates(problem_.spec, problem_.fold, runtime_.device(), static_cast<int>(vector_limit));
    std::erase_if(plans, [&](const Plan& plan) { return !seen_.insert(text(plan.schedule())).second; });
    if (plans.empty()) return;
    const bool widest = vector_limit == problem_.fold.leaf;
    check_schedules(fmt::format("{} schedules, {} elements an access", plans.size(), vector_limit), plans,
                    widest ? Placement{} : Placement{vector_limit, vector_limit},
                    sampled(std::max<std::int64_t>(most_tokens, 257)));
  }

  void check_schedules(const std::string& name, const std::vector<Plan>& plans, Placement placement,
                       const std::vector<std::int64_t>& tokens) {
    Verifier verifier(runtime_, pool_, tokens.back(), placement, seed_);
    const ArgumentLayout layout(problem_.spec);
    for (std::size_t first = 0; first < plans.size(); first += plans_at_once) {
      progress_.update("schedules", first, plans.size());
      const std::span<const Plan> part =
          std::span(plans).subspan(first, std::min(plans_at_once, plans.size() - first));
      const auto kernels = runtime_.impl()->store().kernels(part);
      for (const std::shared_ptr<const Kernel>& kernel : kernels)
        for (const std::int64_t count : tokens) {
          if (interrupted()) break;
          const WorkBuffer workspace(verifier.queue(), kernel->workspace_bytes(count));
          verifier.check(
              [&](CUstream_st* stream, auto inputs, auto outputs) {
                Parameters parameters;
                layout.bind(inputs, outputs, count, parameters);
                kernel->launch(stream, parameters, count, workspace.data());
              },
              count, text(kernel->plan().schedule()));
        }
    }
    parts_.push_back({name, verifier.counts()});
  }

  const Console& console_;
  const VerifyArguments& options_;
  const Runtime& runtime_;
  const Problem& problem_;
  std::shared_ptr<const RowPool> pool_;
  Progress& progress_;
  std::uint64_t seed_;
  std::set<std::string> seen_;
  std::vector<Part> parts_;
};

/// 1234567 as "1,234,567".
std::string grouped(std::uint64_t number) {
  if (number < 1000) return std::to_string(number);
  return fmt::format("{},{:03}", grouped(number / 1000), number % 1000);
}

Json to_json(const VerifyCounts& counts) {
  Json json = {{"launches", counts.launches},
               {"elements", counts.elements},
               {"differing", counts.differing},
               {"overwritten_bytes", counts.overwritten}};
  if (const auto& first = counts.first)
    json["first_difference"] = {{"launch", first->launch},
                                {"output", first->output},
                                {"row", first->row},
                                {"element", first->element},
                                {"expected", fmt::format("{:#x}", first->expected)},
                                {"actual", fmt::format("{:#x}", first->actual)}};
  return json;
}

/// Everything that a run collects.
class Report {
 public:
  explicit Report(const Console& console) : console_(console) {}

  void problem(const Runtime& runtime, const Problem& problem, const std::vector<Part>& parts) {
    console_.line("{}  {} on {} ({})", console_.bold(title_of(problem.spec)), text(problem.fold),
                  runtime.device_name(), runtime.device().name);
    Json json = {{"spec", text(problem.spec)},
                 {"fold", text(problem.fold)},
                 {"bits_id", bits_id(problem.spec, problem.fold)},
                 {"device", runtime.device_name()},
                 {"device_name", runtime.device().name},
                 {"parts", Json::array()}};
    for (const Part& part : parts) {
      console_.line("  {:<34} {:>9} launches  {:>17} elements  {}", part.name, grouped(part.counts.launches),
                    grouped(part.counts.elements), verdict(part.counts));
      if (const auto& first = part.counts.first)
        console_.line("    first: {} element {} of row {} is {:#x}, the oracle's is {:#x}\n    {}",
                      first->output, first->element, first->row, first->actual, first->expected,
                      first->launch);
      Json entry = to_json(part.counts);
      entry["part"] = part.name;
      json["parts"].push_back(entry);
      total.add(part.counts);
    }
    results.push_back(json);
  }

  void hashes(const Runtime& runtime, const OutputHashes& stored, const OutputHashes& measured) {
    const std::string names = difference(stored, measured);
    ++hashes_compared;
    hashes_differing += !names.empty();
    console_.line("{} {}  {} rows on {}: {}", names.empty() ? console_.good("✓") : console_.bad("✗"),
                  title_of(stored.problem.spec), stored.rows, runtime.device_name(),
                  names.empty() ? fmt::format("the hashes of {}", stored.made_by)
                                : fmt::format("{} not as hashed by {}", names, stored.made_by));
    hash_results.push_back({{"spec", text(stored.problem.spec)},
                            {"device", runtime.device_name()},
                            {"stored_by", stored.made_by},
                            {"differing_outputs", names}});
  }

  bool passed() const { return total.passed() && hashes_differing == 0; }

  VerifyCounts total;
  std::size_t hashes_compared = 0, hashes_differing = 0;
  Json results = Json::array(), hash_results = Json::array();

 private:
  std::string verdict(const VerifyCounts& counts) const {
    if (counts.passed()) return console_.good("0 differing");
    return console_.bad(fmt::format("{} differing, {} bytes written outside", grouped(counts.differing),
                                    grouped(counts.overwritten)));
  }
  const Console& console_;
};

void compare_hashes(Report& report, const Runtime& runtime, const std::vector<OutputHashes>& records,
                    Progress& progress) {
  std::size_t done = 0;
  for (const OutputHashes& stored : records) {
    if (interrupted()) return;
    const OutputHashes measured = measure_hashes(runtime, stored.problem);
    progress.update("hashes", ++done, records.size());
    progress.clear();
    report.hashes(runtime, stored, measured);
  }
}

}  // namespace

int run_verify(const Console& console, const VerifyArguments& options) {
  catch_interrupt();
  std::vector<OutputHashes> stored;
  if (!options.hashes.empty()) stored = read_hashes(options.hashes);
  // With --hashes and no operator, every record of the file is compared and nothing else is done.
  const bool only_hashes = !options.hashes.empty() && !options.op.given;
  std::vector<Problem> problems;
  if (!only_hashes) problems = options.op.problems();
  parse_tokens(options.tokens);

  Report report(console);
  Progress progress(console);
  std::vector<OutputHashes> written;
  std::vector<Runtime> runtimes;
  for (const std::string& device : options.devices) runtimes.push_back(open_runtime(device));
  if (only_hashes)
    for (const Runtime& runtime : runtimes) compare_hashes(report, runtime, stored, progress);
  for (const Problem& problem : problems) {
    progress.update("oracle", 0, 1);
    const auto pool = std::make_shared<const RowPool>(problem, pool_rows(problem.spec), 1);
    for (const Runtime& runtime : runtimes) {
      const std::vector<Part> parts = Verification(console, options, runtime, problem, pool, progress).run();
      progress.clear();
      report.problem(runtime, problem, parts);
      if (!options.hashes.empty()) {
        const OutputHashes* record = find_hashes(stored, problem);
        if (!record)
          throw UsageError(fmt::format("{} has no record for {}", options.hashes, text(problem.spec)));
        compare_hashes(report, runtime, {*record}, progress);
      }
      if (!options.write_hashes.empty()) written.push_back(measure_hashes(runtime, problem));
    }
  }
  if (!written.empty()) merge_hashes(options.write_hashes, written);

  if (!problems.empty())
    console.line("{} {} of {} elements differ from the oracle",
                 report.total.passed() ? console.good("✓") : console.bad("✗"),
                 grouped(report.total.differing), grouped(report.total.elements));
  if (report.hashes_compared > 0)
    console.line("{} {} of {} stored hashes differ",
                 report.hashes_differing == 0 ? console.good("✓") : console.bad("✗"), report.hashes_differing,
                 report.hashes_compared);
  Json document = to_json(report.total);
  document["passed"] = report.passed();
  document["interrupted"] = interrupted();
  document["results"] = report.results;
  document["hashes"] = report.hash_results;
  console.document(document);
  if (!report.passed()) return exit_check_failed;
  return interrupted() ? exit_interrupted : exit_ok;
}

}  // namespace isofold::tools
