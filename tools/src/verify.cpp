#include <isofold/codegen/candidates.hpp>
#include <isofold/error.hpp>

#include <fmt/chrono.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <set>

#include "commands.hpp"
#include "files.hpp"
#include "numbers.hpp"
#include "output_file.hpp"
#include "output_hashes.hpp"
#include "report.hpp"
#include "room.hpp"
#include "runtime_impl.hpp"
#include "target.hpp"
#include "verifier.hpp"

namespace isofold::tools {
namespace {

/// What one part of a verification did.
struct Part {
  std::string name;
  std::uint64_t planned = 0;  // launches; all of them were made unless it was interrupted
  VerifyCounts counts;
};

/// Token counts at which a schedule or an unusual placement is tried: powers of two, primes and their
/// neighbours.
constexpr std::int64_t sampled_tokens[] = {1, 2, 3, 5, 8, 13, 31, 32, 33, 64, 127, 200, 257};
constexpr std::size_t plans_at_once = 32;
constexpr std::int64_t pool_elements = std::int64_t{1} << 22, most_pool_elements = std::int64_t{1} << 27;

/// Rows of every nature several times; of very long ones once.
std::int64_t pool_rows(const Spec& spec) {
  const std::int64_t n = std::max<std::int64_t>(spec.n, 1);
  const std::int64_t rows = std::clamp<std::int64_t>(pool_elements / n, 8 * row_natures, 80 * row_natures);
  return in_whole_groups(spec, std::min(rows, std::max(row_natures, most_pool_elements / n)));
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
    std::vector<std::int64_t> launched = with_boundaries(tokens, op), off_alignment = sampled(tokens.back());
    keep_bundled(tokens, op, {&launched, &off_alignment});
    check_operator("as launched", op, launched, Placement{}, 0);
    if (const std::size_t bytes = op.workspace_bytes(launched.back()); bytes > 0)
      check_operator("with a workspace", op, launched, Placement{}, bytes);
    for (std::int64_t step = 1; step < problem_.fold.leaf && !off_alignment.empty(); step *= 2)
      check_operator(counted(step, "element") + " off alignment", op, off_alignment, {step, step}, 0);
    if (options_.all_schedules) check_every_schedule("", tokens.back());
    return parts_;
  }

  /// Every schedule at every alignment class, with names that begin with `prefix`.
  const std::vector<Part>& check_every_schedule(const std::string& prefix, std::int64_t most_tokens) {
    for (std::int64_t step = problem_.fold.leaf; step >= 1; step /= 2)
      check_all_schedules(prefix, step, most_tokens);
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

  /// Both sides of every boundary too, as far as they fit.
  std::vector<std::int64_t> with_boundaries(std::vector<std::int64_t> tokens, const Operator& op) const {
    const std::int64_t most = most_rows(runtime_, problem_.spec);
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

  /// Where nothing may be compiled, only kernels that `asked` launches are certain to be there: other counts are taken away.
  void keep_bundled(const std::vector<std::int64_t>& asked, const Operator& op,
                    std::initializer_list<std::vector<std::int64_t>*> lists) const {
    if (!runtime_.impl()->bundles().required()) return;
    const std::vector<std::int64_t> boundaries = op.boundaries();
    const auto range = [&](std::int64_t count) {
      return std::upper_bound(boundaries.begin(), boundaries.end(), count) - boundaries.begin();
    };
    std::set<std::ptrdiff_t> launched;
    for (const std::int64_t count : asked) launched.insert(range(count));
    std::set<std::int64_t> left_out;
    for (std::vector<std::int64_t>* counts : lists)
      std::erase_if(*counts, [&](std::int64_t count) {
        const bool other = !launched.contains(range(count));
        if (other) left_out.insert(count);
        return other;
      });
    if (!left_out.empty())
      console_.remark("left out, since the token counts asked for launch other kernels and nothing may be compiled here: {} tokens",
                      fmt::join(left_out, ", "));
  }

  void check_operator(const std::string& name, Operator& op, const std::vector<std::int64_t>& tokens,
                      Placement placement, std::size_t workspace_bytes) {
    Verifier verifier(runtime_, pool_, tokens.back(), placement, seed_);
    const WorkBuffer workspace(verifier.queue(), workspace_bytes);
    std::size_t done = 0;
    for (const std::int64_t count : tokens) {
      progress_.update("verify", done, tokens.size());
      if (interrupted()) break;
      ++done;
      verifier.check(
          [&](CUstream_st* stream, auto inputs, auto outputs) {
            op.launch(stream, inputs, outputs, count, {workspace.data(), workspace_bytes});
          },
          count, op.choice(count, 16, workspace_bytes).schedule);
    }
    progress_.update("verify", done, tokens.size());
    progress_.clear();
    parts_.push_back({name, tokens.size(), verifier.counts()});
  }

  void check_all_schedules(const std::string& prefix, std::int64_t vector_limit, std::int64_t most_tokens) {
    std::vector<Plan> plans =
        candidates(problem_.spec, problem_.fold, runtime_.device(), static_cast<int>(vector_limit));
    std::erase_if(plans, [&](const Plan& plan) { return !seen_.insert(text(plan.schedule())).second; });
    if (plans.empty()) return;
    const bool widest = vector_limit == problem_.fold.leaf;
    check_schedules(fmt::format("{}{} schedules, {} an access", prefix, plans.size(), vector_limit), plans,
                    widest ? Placement{} : Placement{vector_limit, vector_limit},
                    sampled(std::max<std::int64_t>(most_tokens, 257)));
  }

  void check_schedules(const std::string& name, const std::vector<Plan>& plans, Placement placement,
                       const std::vector<std::int64_t>& tokens) {
    Verifier verifier(runtime_, pool_, tokens.back(), placement, seed_);
    const ArgumentLayout layout(problem_.spec);
    for (std::size_t first = 0; first < plans.size(); first += plans_at_once) {
      progress_.update("schedules", first, plans.size());
      if (interrupted()) break;
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
    if (!interrupted()) progress_.update("schedules", plans.size(), plans.size());
    progress_.clear();
    parts_.push_back({name, plans.size() * tokens.size(), verifier.counts()});
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

  /// The sections of the page so far.
  std::string page;

  void problem(const Runtime& runtime, const Problem& problem, const std::vector<Part>& parts) {
    console_.line("{}  {} on {} ({})", console_.bold(title_of(problem.spec)), text(problem.fold),
                  runtime.device_name(), runtime.device().name);
    Json json = {{"spec", text(problem.spec)},
                 {"fold", text(problem.fold)},
                 {"bits_id", bits_id(problem.spec, problem.fold)},
                 {"device", runtime.device_name()},
                 {"device_name", runtime.device().name},
                 {"parts", Json::array()}};
    std::vector<VerifyRow> rows;
    for (const Part& part : parts) {
      console_.line("  {:<34} {:>9} {:<8}  {:>17} {:<8}  {}", part.name, grouped(part.counts.launches),
                    part.counts.launches == 1 ? "launch" : "launches", grouped(part.counts.elements),
                    part.counts.elements == 1 ? "element" : "elements", verdict(part));
      if (const auto& first = part.counts.first)
        console_.line("    first: {} element {} of row {} is {:#x}, the oracle's is {:#x}\n    {}",
                      first->output, first->element, first->row, first->actual, first->expected,
                      first->launch);
      rows.push_back({part.name, grouped(part.counts.launches), grouped(part.counts.elements), plain_verdict(part),
                      part.counts.passed()});
      Json entry = to_json(part.counts);
      entry["part"] = part.name;
      json["parts"].push_back(entry);
      entry["planned_launches"] = part.planned;
      total.add(part.counts);
      planned += part.planned;
    }
    results.push_back(json);
    BenchResult about;
    about.title = title_of(problem.spec);
    about.spec = text(problem.spec);
    about.fold = text(problem.fold);
    about.bits_id = bits_id(problem.spec, problem.fold);
    about.device = runtime.device_name();
    about.device_name = runtime.device().name;
    about.environment = runtime.impl()->environment();
    about.date = fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::time(nullptr)));
    const Operator op = runtime.make_operator(problem.spec, problem.fold);
    std::vector<std::string> schedules;
    for (const std::int64_t tokens : op.boundaries()) schedules.push_back(op.choice(tokens).schedule);
    ScheduleMap map = map_of(op.boundaries(), schedules);
    map.ranges = true;
    std::string section = operator_report(about, map);
    section.insert(section.find("</h2>\n") + 6, verify_report(rows));
    page += section;
  }

  void hashes(const Runtime& runtime, const OutputHashes& stored, const OutputHashes& measured) {
    const std::string names = difference(stored, measured);
    ++hashes_compared;
    hashes_differing += !names.empty();
    const std::string id = bits_id(stored.problem.spec, stored.problem.fold);
    console_.line("{} {}  bits id {}  {} on {}: {}", names.empty() ? console_.good("✓") : console_.bad("✗"),
                  title_of(stored.problem.spec), id, counted(stored.rows, "row"), runtime.device_name(),
                  names.empty() ? fmt::format("the hashes of {}", stored.made_by)
                                : fmt::format("{} not as hashed by {}", names, stored.made_by));
    hash_results.push_back({{"spec", text(stored.problem.spec)},
                            {"bits_id", id},
                            {"device", runtime.device_name()},
                            {"stored_by", stored.made_by},
                            {"differing_outputs", names}});
  }

  bool passed() const { return total.passed() && hashes_differing == 0; }

  VerifyCounts total;
  std::uint64_t planned = 0;  // launches of the problems that were begun
  std::size_t hashes_compared = 0, hashes_differing = 0;
  Json results = Json::array(), hash_results = Json::array();

 private:
  static std::string plain_verdict(const Part& part) {
    const VerifyCounts& counts = part.counts;
    if (counts.passed()) return counts.launches < part.planned ? "0 differing, interrupted" : "0 differing";
    return fmt::format("{} differing, {} {} written outside", grouped(counts.differing), grouped(counts.overwritten),
                       counts.overwritten == 1 ? "byte" : "bytes");
  }
  std::string verdict(const Part& part) const {
    const std::string words = plain_verdict(part);
    if (!part.counts.passed()) return console_.bad(words);
    return part.counts.launches < part.planned ? words : console_.good(words);
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
  const std::int64_t most_tokens = parse_tokens(options.tokens).back();
  if (!options.write_hashes.empty()) check_output_file(console, options.write_hashes);
  if (!options.report.empty()) check_output_file(console, options.report);

  Report report(console);
  Progress progress(console);
  std::vector<OutputHashes> written;
  std::vector<Runtime> runtimes;
  for (const std::string& device : options.devices) runtimes.push_back(open_runtime(device));
  for (const Runtime& runtime : runtimes)
    for (const Problem& problem : problems) check_room(runtime, problem.spec, most_tokens);
  for (const Problem& problem : problems) {
    check_oracle_room(problem.spec, pool_rows(problem.spec));
    if (options.all_schedules) check_oracle_room(with_reductions_shown(problem.spec), 2 * pool_rows(problem.spec));
  }
  if (only_hashes)
    for (const Runtime& runtime : runtimes) compare_hashes(report, runtime, stored, progress);
  std::size_t begun = 0;
  for (const Problem& problem : problems) {
    if (interrupted()) break;
    ++begun;
    progress.update("oracle", 0, 1);
    const auto stop = [] { return interrupted(); };
    const auto pool =
        std::make_shared<const RowPool>(problem, pool_rows(problem.spec), 1, RowPool::Results::oracle, stop);
    // Rounded to 16 bits, results hide most differences between two reduction trees; the sum itself shows
    // them.
    std::shared_ptr<const RowPool> shown_pool;
    if (options.all_schedules) {
      Problem shown = problem;
      shown.spec = with_reductions_shown(problem.spec);
      shown_pool = std::make_shared<const RowPool>(shown, pool_rows(problem.spec), 1, RowPool::Results::oracle, stop);
    }
    if (interrupted()) break;  // what the oracle was computing is incomplete
    progress.update("oracle", 1, 1);
    for (const Runtime& runtime : runtimes) {
      if (interrupted()) break;
      std::vector<Part> parts = Verification(console, options, runtime, problem, pool, progress).run();
      if (shown_pool && !interrupted()) {
        Verification shown(console, options, runtime, shown_pool->problem(), shown_pool, progress);
        const std::vector<Part>& more = shown.check_every_schedule("sum shown: ", most_tokens);
        parts.insert(parts.end(), more.begin(), more.end());
      }
      progress.clear();
      report.problem(runtime, problem, parts);
      if (!options.hashes.empty()) {
        const OutputHashes* record = find_hashes(stored, problem);
        if (!record)
          throw UsageError(fmt::format("{} has no record for {}", options.hashes, text(problem.spec)));
        compare_hashes(report, runtime, {*record}, progress);
      }
      if (!options.write_hashes.empty() && !interrupted())
        written.push_back(measure_hashes(runtime, problem));
    }
  }
  if (!written.empty()) merge_hashes(options.write_hashes, written);

  // What was not compared to the end has not passed.
  const auto mark = [&](bool passed) {
    return !passed ? console.bad("✗") : interrupted() ? std::string(" ") : console.good("✓");
  };
  if (!problems.empty())
    console.line("{} {} of {} elements differ from the oracle", mark(report.total.passed()),
                 grouped(report.total.differing), grouped(report.total.elements));
  if (report.hashes_compared > 0)
    console.line("{} {} of {} stored hashes differ", mark(report.hashes_differing == 0),
                 report.hashes_differing, report.hashes_compared);
  if (interrupted()) {
    if (only_hashes)
      console.line("{} {} of {} stored hashes were compared", console.bad("interrupted:"),
                   report.hashes_compared, stored.size() * runtimes.size());
    else if (report.planned == 0)
      console.line("{} nothing was compared", console.bad("interrupted:"));
    else
      console.line("{} {} of {} launches were compared{}", console.bad("interrupted:"),
                   grouped(report.total.launches), grouped(report.planned),
                   begun == problems.size()
                       ? ""
                       : fmt::format("; {} of {} operators were begun", begun, problems.size()));
  }
  if (!options.report.empty() && !report.page.empty()) {
    const std::string sentence =
        fmt::format("{} of {} elements differ from the oracle{}.", grouped(report.total.differing), grouped(report.total.elements),
                    interrupted() ? "; it was interrupted" : "");
    write_file_atomically(options.report, report_page("Verified bits", sentence, report.page), "report");
    console.line("{}", options.report);
  }
  Json document = to_json(report.total);
  document["passed"] = report.passed() && !interrupted();
  document["interrupted"] = interrupted();
  document["planned_launches"] = report.planned;
  document["results"] = report.results;
  document["hashes"] = report.hash_results;
  console.document(document);
  if (!report.passed()) return exit_check_failed;
  return interrupted() ? exit_interrupted : exit_ok;
}

}  // namespace isofold::tools
