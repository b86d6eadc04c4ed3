#include <isofold/codegen/candidates.hpp>
#include <isofold/error.hpp>

#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "description.hpp"
#include "files.hpp"
#include "numbers.hpp"
#include "output_file.hpp"
#include "output_hashes.hpp"
#include "report.hpp"
#include "room.hpp"
#include "runtime_impl.hpp"
#include "target.hpp"
#include "tuned_times.hpp"
#include "verification.hpp"

namespace isofold::tools {
namespace {

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

Json to_json(const VerifyPart& part) {
  Json json = to_json(part.counts);
  json["part"] = part.name;
  json["planned_launches"] = part.planned;
  json["refused"] = Json::array();
  for (const RefusedSchedule& one : part.refused) json["refused"].push_back({{"schedule", one.schedule}, {"why", one.why}});
  return json;
}

/// Everything that a run collects.
class Report {
 public:
  Report(const Console& console, bool with_page) : console_(console), with_page_(with_page) {}

  void problem(const Runtime& runtime, const Problem& problem, const std::vector<VerifyPart>& parts) {
    console_.line("{}  {} on {} ({})", console_.bold(title_of(problem.spec)), text(problem.fold),
                  runtime.device_name(), runtime.device().name);
    Json json = {{"spec", text(problem.spec)},
                 {"fold", text(problem.fold)},
                 {"bits_id", bits_id(problem.spec, problem.fold)},
                 {"device", runtime.device_name()},
                 {"device_name", runtime.device().name},
                 {"parts", Json::array()}};
    std::vector<VerifyRow> rows;
    for (const VerifyPart& part : parts) {
      console_.line("  {:<34} {:>9} {:<8}  {:>17} {:<8}  {}", part.name, grouped(part.counts.launches),
                    part.counts.launches == 1 ? "launch" : "launches", grouped(part.counts.elements),
                    part.counts.elements == 1 ? "element" : "elements", verdict(part));
      if (const auto& first = part.counts.first)
        console_.line("    first: {} element {} of row {} is {:#x}, the oracle's is {:#x}\n    {}",
                      first->output, first->element, first->row, first->actual, first->expected,
                      first->launch);
      print_refused(part);
      rows.push_back({part.name, grouped(part.counts.launches), grouped(part.counts.elements), plain_verdict(part), part.passed()});
      json["parts"].push_back(to_json(part));
      total.add(part.counts);
      planned += part.planned;
      refused += part.refused.size();
    }
    results.push_back(json);
    if (!with_page_) return;
    const Operator op = runtime.make_operator(problem.spec, problem.fold);
    std::optional<RecordedTimes> times;
    if (!interrupted()) times = recorded_times(runtime, problem);
    const std::string first = verify_report(rows) + schedule_map_html(map_of(parts)) + refusals_html(parts) +
                              (times ? recorded_html(*times) : "");
    sections_ += operator_report(times ? times->result : description_of(runtime, problem), map_of(op), first);
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
    hash_rows_.push_back({title_of(stored.problem.spec), id, grouped(static_cast<std::uint64_t>(stored.rows)), runtime.device_name(),
                          names.empty() ? "as stored by " + stored.made_by : names + " not as stored by " + stored.made_by, names.empty()});
    hash_results.push_back({{"spec", text(stored.problem.spec)},
                            {"bits_id", id},
                            {"device", runtime.device_name()},
                            {"stored_by", stored.made_by},
                            {"differing_outputs", names}});
  }

  bool passed() const { return total.passed() && refused == 0 && hashes_differing == 0; }

  bool has_page() const { return with_page_ && !(sections_.empty() && hash_rows_.empty()); }
  std::string page() const {
    std::string sentence = sections_.empty() ? hash_finding() : finding() + (hashes_compared > 0 ? "; " + hash_finding() : "");
    sentence += interrupted() ? "; it was interrupted." : ".";
    return report_page("Verified bits", sentence, sections_ + hashes_report(hash_rows_));
  }

  /// In one sentence, without its full stop.
  std::string finding() const {
    std::string words = fmt::format("{} of {} elements differ from the oracle", grouped(total.differing), grouped(total.elements));
    if (refused > 0) words += fmt::format("; {} did not run", counted(static_cast<std::int64_t>(refused), "kernel"));
    return words;
  }
  std::string hash_finding() const { return fmt::format("{} of {} stored hashes differ", hashes_differing, hashes_compared); }

  VerifyCounts total;
  std::uint64_t planned = 0;  // launches of the problems that were begun
  std::size_t refused = 0;    // kernels of them, schedules as they are and with the sum shown, that did not run
  std::size_t hashes_compared = 0, hashes_differing = 0;
  Json results = Json::array(), hash_results = Json::array();

 private:
  static std::string plain_verdict(const VerifyPart& part) {
    const VerifyCounts& counts = part.counts;
    std::string words = fmt::format("{} differing", grouped(counts.differing));
    if (!counts.passed())
      words += fmt::format(", {} {} written outside", grouped(counts.overwritten), counts.overwritten == 1 ? "byte" : "bytes");
    if (!part.refused.empty())
      words += fmt::format(", {} did not run", counted(static_cast<std::int64_t>(part.refused.size()), "schedule"));
    return words + (counts.launches < part.planned ? ", interrupted" : "");
  }
  std::string verdict(const VerifyPart& part) const {
    const std::string words = plain_verdict(part);
    if (!part.passed()) return console_.bad(words);
    return part.counts.launches < part.planned ? words : console_.good(words);
  }
  void print_refused(const VerifyPart& part) const {
    for (std::size_t i = 0; i < part.refused.size(); ++i) {
      if (i == most_printed) return console_.line("    and {} others: --json and --report have all", part.refused.size() - i);
      const std::string& why = part.refused[i].why;
      console_.line("    did not run: {}\n      {}", part.refused[i].schedule, why.substr(0, why.find('\n')));
    }
  }

  static constexpr std::size_t most_printed = 3;  // refusals of a part
  const Console& console_;
  bool with_page_;
  std::string sections_;
  std::vector<HashRow> hash_rows_;
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

  Report report(console, !options.report.empty());
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
      std::vector<VerifyPart> parts = Verification(console, options, runtime, problem, pool, progress).run();
      if (shown_pool && !interrupted()) {
        Verification shown(console, options, runtime, shown_pool->problem(), shown_pool, progress);
        const std::vector<VerifyPart>& more = shown.check_every_schedule("sum shown: ", most_tokens);
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
    console.line("{} {}", mark(report.total.passed() && report.refused == 0), report.finding());
  if (report.hashes_compared > 0)
    console.line("{} {}", mark(report.hashes_differing == 0), report.hash_finding());
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
  if (report.has_page()) {
    write_file_atomically(options.report, report.page(), "report");
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
