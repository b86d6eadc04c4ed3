#include <isofold/error.hpp>
#include <isofold/tuner.hpp>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "files.hpp"
#include "launch_record.hpp"
#include "numbers.hpp"
#include "output_file.hpp"
#include "report.hpp"
#include "room.hpp"
#include "runtime_impl.hpp"
#include "target.hpp"
#include "tuned_times.hpp"

namespace isofold::tools {
namespace {

namespace fs = std::filesystem;

/// The file that is written, after a check that it can be: better now than after the measurement.
std::string table_file(const Console& console, const Runtime& runtime, const std::string& asked) {
  const std::string path = asked.empty() ? runtime.impl()->user_table_file() : asked;
  if (path.empty())
    throw UsageError(
        "there is no folder of your own to keep the table in (see isofold doctor); name a file with "
        "--output");
  check_output_file(console, path);
  const FileLock writable(path + ".lock", "tuning table");
  if (std::error_code error; fs::exists(path, error)) {
    TuningTable table;
    table.read(path);
    if (!table.warnings().empty())
      throw UsageError(fmt::format("{} will not be rewritten: {}", path, table.warnings()[0]));
  }
  return path;
}

/// An operator, and the token counts it is tuned for.
struct TuneTask {
  Problem problem;
  std::vector<std::int64_t> tokens;
};

/// Counts of a record that are measured one by one; of more, the most launched of each step of the square root of 2 is.
constexpr std::size_t most_recorded_counts = 24;

std::vector<std::int64_t> counts_to_tune(const std::map<std::int64_t, std::uint64_t>& launches) {
  std::vector<std::int64_t> tokens;
  const bool all = launches.size() <= most_recorded_counts;
  double step_end = 0;
  std::uint64_t most = 0;
  for (const auto& [count, often] : launches) {
    if (all || static_cast<double>(count) >= step_end) {
      step_end = static_cast<double>(count) * 1.4142;
      most = often;
      tokens.push_back(count);
    } else if (often > most) {
      most = often;
      tokens.back() = count;
    }
  }
  return tokens;
}

/// What the options ask for, or what an application launched, on whatever device that was.
std::vector<TuneTask> tasks_of(const TuneArguments& options) {
  std::vector<TuneTask> tasks;
  if (options.from.empty()) {
    for (Problem& problem : options.op.problems()) tasks.push_back({std::move(problem), parse_tokens(options.tokens)});
    return tasks;
  }
  std::map<std::pair<std::string, std::string>, std::map<std::int64_t, std::uint64_t>> launches;
  for (const LaunchRecord& record : read_launch_records(options.from))
    for (const auto& [count, often] : record.launches) launches[{record.spec, record.fold}][count] += often;
  if (launches.empty()) throw UsageError(fmt::format("{} records no launch", options.from));
  for (const auto& [names, counts] : launches)
    tasks.push_back({{parse_spec(names.first), parse_fold(names.second)}, counts_to_tune(counts)});
  return tasks;
}

Json to_json(const Timing& timing) {
  return {{"schedule", text(timing.schedule)},
          {"fold", text(timing.fold)},
          {"microseconds", timing.microseconds},
          {"spread", timing.spread},
          {"stage", timing.stage}};
}

/// The fastest of the others, relative to what was chosen; "-" when they were measured less well.
std::string runner_up(const TokenResult& result, const Timing& best) {
  for (const Timing& timing : result.timings)
    if (timing.schedule != best.schedule && timing.stage == best.stage)
      return fmt::format("{:+.1f} %", 100 * (timing.microseconds / best.microseconds - 1));
  return "-";
}

/// Time of the best schedule of the operator's fold against the best of any fold.
double price(const TokenResult& result) {
  return result.timings.front().microseconds / result.best_any_fold.microseconds;
}

Json to_json(const TokenResult& result, const TableRecord& record, bool folds) {
  Json json = {{"tokens", result.tokens},
               {"schedule", text(chosen(result, record).schedule)},
               {"not_raced", result.not_raced},
               {"timings", Json::array()}};
  for (const Timing& timing : result.timings) json["timings"].push_back(to_json(timing));
  if (folds) {
    json["best_any_fold"] = to_json(result.best_any_fold);
    json["price_of_invariance"] = price(result);
  }
  return json;
}

void print(const Console& console, const TuneResult& result, bool folds) {
  std::vector<std::string> header = {">tokens", ">us", ">runner-up", "schedule"};
  if (folds) header = {">tokens", ">us", ">any fold us", ">price", "the fastest fold", "schedule"};
  Table table(header);
  for (const TokenResult& one : result.tokens) {
    const Timing& best = chosen(one, result.record);
    if (folds)
      table.row({std::to_string(one.tokens), short_number(best.microseconds),
                 short_number(one.best_any_fold.microseconds), fmt::format("{:.3f}", price(one)),
                 text(one.best_any_fold.fold), text(best.schedule)});
    else
      table.row({std::to_string(one.tokens), short_number(best.microseconds), runner_up(one, best),
                 text(best.schedule)});
  }
  table.print(console);
}

/// Runs the tuner for one problem and writes its record.
Json tune_one(const Console& console, const TuneArguments& options, const Runtime& runtime,
              const TuneTask& task, const std::string& path, std::size_t& rejected, std::string& sections) {
  const Problem& problem = task.problem;
  Operator op = runtime.make_operator(problem.spec, problem.fold);
  Progress progress(console);
  TuneOptions tuning;
  tuning.tokens = task.tokens;
  tuning.seconds = options.seconds;
  tuning.max_candidates = options.max_candidates;
  tuning.any_fold = options.folds;
  tuning.progress = [&](const TuneProgress& at) {
    progress.update(at.stage, at.done, at.total);
    return !interrupted();
  };
  const TuneResult result = tune(op, tuning);
  progress.clear();

  const bool write = !result.record.ranges.empty();
  std::optional<TableRecord> earlier;
  if (write) earlier = add_to_table_file(path, result.record);
  console.line("{}  {} on {} ({})", console.bold(title_of(problem.spec)), text(problem.fold),
               runtime.device_name(), runtime.device().name);
  if (write) print(console, result, options.folds);
  if (!result.not_measured.empty())
    console.line("{} {} of {} were not measured: {}",
                 console.bad(interrupted() ? "interrupted:" : "out of time:"), result.not_measured.size(),
                 counted(static_cast<std::int64_t>(tuning.tokens.size()), "token count"),
                 interrupted() ? "what is known is kept" : "raise --seconds");
  std::size_t hurried = 0, most_left_out = 0;
  for (const TokenResult& one : result.tokens) {
    hurried += one.not_raced > 0;
    most_left_out = std::max(most_left_out, one.not_raced);
  }
  if (hurried > 0)
    console.line("{} at {} up to {} schedules had no turn{}", console.bad(interrupted() ? "interrupted:" : "out of time:"),
                 counted(static_cast<std::int64_t>(hurried), "token count"), most_left_out, interrupted() ? "" : ": raise --seconds");
  console.line(
      "{} schedules compiled in {:.1f} s, compared with the oracle in {:.1f} s, measured in {:.1f} s",
      result.candidates, result.compile_seconds, result.verify_seconds, result.measure_seconds);
  if (!result.refused_schedules.empty())
    console.line("{} {} that the compiler or the device did not take; the first: {}", console.bad("left out:"),
                 counted(static_cast<std::int64_t>(result.refused_schedules.size()), "schedule"), result.refused_schedules.front());
  for (const std::string& schedule : result.rejected_schedules)
    console.line("{} {}", console.bad("other bits than the oracle (a defect, please report it):"), schedule);
  console.line("{} {}", write ? "written to" : "nothing was measured, nothing is written to", path);
  if (earlier)
    console.line("merged with the record of {}, which keeps the token counts below {} and above {}",
                 earlier->environment, result.tokens.front().tokens, result.tokens.back().tokens);
  console.line();
  rejected += result.rejected;

  if (!options.report.empty() && write) sections += operator_report(tuned_times(runtime, problem, result), map_of(result));
  Json tokens = Json::array();
  for (const TokenResult& one : result.tokens) tokens.push_back(to_json(one, result.record, options.folds));
  return {{"spec", text(problem.spec)},
          {"fold", text(problem.fold)},
          {"candidates", result.candidates},
          {"rejected", result.rejected_schedules},
          {"refused", result.refused_schedules},
          {"compile_seconds", result.compile_seconds},
          {"verify_seconds", result.verify_seconds},
          {"measure_seconds", result.measure_seconds},
          {"written", write},
          {"merged_with", earlier ? Json(earlier->environment) : Json(nullptr)},
          {"not_measured", result.not_measured},
          {"tokens", tokens}};
}

}  // namespace

int run_tune(const Console& console, const TuneArguments& options) {
  const std::vector<TuneTask> tasks = tasks_of(options);
  const Runtime runtime = open_runtime(options.device);
  for (const TuneTask& task : tasks) check_room(runtime, task.problem.spec, task.tokens.back());
  const std::string path = table_file(console, runtime, options.output);
  catch_interrupt();
  if (!options.report.empty()) check_output_file(console, options.report);
  std::size_t rejected = 0;
  std::string sections;
  Json operators = Json::array();
  for (const TuneTask& task : tasks) {
    if (interrupted()) break;
    operators.push_back(tune_one(console, options, runtime, task, path, rejected, sections));
  }
  if (!sections.empty()) {
    write_file_atomically(options.report,
                          report_page(fmt::format("Tuned on {}", runtime.device().name),
                                      "Measured by isofold tune: a schedule is timed after its output has been the oracle's, bit for bit.",
                                      sections),
                          "report");
    console.line("{}", options.report);
  }
  console.document({{"device", runtime.device_name()},
                    {"device_traits", text(runtime.device())},
                    {"table", path},
                    {"interrupted", interrupted()},
                    {"operators", operators}});
  if (rejected > 0) return exit_check_failed;
  return interrupted() ? exit_interrupted : exit_ok;
}

}  // namespace isofold::tools
