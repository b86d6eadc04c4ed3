#include <isofold/codegen/operators.hpp>
#include <isofold/error.hpp>

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "accuracy_rows.hpp"
#include "accuracy_table.hpp"
#include "commands.hpp"
#include "exact_results.hpp"
#include "files.hpp"
#include "launch_once.hpp"
#include "named_form.hpp"
#include "numbers.hpp"
#include "output_file.hpp"
#include "pytorch_results.hpp"
#include "room.hpp"
#include "runtime_impl.hpp"
#include "target.hpp"

namespace isofold::tools {
namespace {

constexpr std::uint64_t seed = 1;

/// The output that has the scales of quantised rows; its number.
std::optional<std::size_t> scale_output(const Spec& spec) {
  for (std::size_t o = 0; o < spec.outputs.size(); ++o)
    if (spec.outputs[o].name == "scale" && spec.outputs[o].dtype == DType::f32 && spec.outputs[o].extent == Extent::token) return o;
  return std::nullopt;
}

/// More rows where a row gives one number: errors are counted by results, and the worst hundredth has to be a fair number of them.
std::int64_t rows_for(const Spec& spec) {
  const bool long_outputs = std::any_of(spec.outputs.begin(), spec.outputs.end(),
                                        [](const Output& output) { return output.extent == Extent::row; });
  const std::int64_t elements = std::int64_t{1} << (long_outputs ? 20 : 25);
  const std::int64_t rows = std::clamp<std::int64_t>(elements / spec.n, 8, 8192), whole = groups(spec);
  return (rows + whole - 1) / whole * whole;
}

/// What one operator is asked, with a name for people.
struct Question {
  std::string name;
  std::vector<Problem> problems;
};

std::vector<Question> questions_of(const AccuracyArguments& options) {
  std::vector<Question> questions;
  if (options.all) {
    for (const NamedOperator& named : named_operators()) {
      Question& question = questions.emplace_back(Question{std::string(named.name), {}});
      for (const std::string& n : options.op.n)
        for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
          Spec spec = named.make(parse_whole("-n", n, 1, max_row_length), dtype);
          const Fold fold = default_fold(spec);
          question.problems.push_back({std::move(spec), fold});
        }
    }
    return questions;
  }
  std::vector<Problem> problems = options.op.problems();
  const Spec& first = problems.front().spec;
  const NamedOperator* named = named_form(first, Constants::compared);
  questions.push_back({named ? std::string(named->name) : first.op, std::move(problems)});
  return questions;
}

/// One kind of rows of one problem: a job of PyTorch's.
struct Case {
  const Problem* problem;
  RowData data;
  std::int64_t rows;
  std::vector<std::vector<long double>> exact;  // of each output
  std::vector<ResultError> ours;                // likewise
};

/// Everything of one operator: our errors as the rows are drawn, PyTorch's when it has run all of them.
class Measurement {
 public:
  Measurement(const Runtime& runtime, const Question& question) : runtime_(runtime), question_(question) {
    for (const Problem& problem : question.problems) {
      if (problem.spec.n == 0) throw UsageError("-n is 0; rows without elements have no errors");
      check_room(runtime, problem.spec, rows_for(problem.spec));
      for (const RowData data : row_data_for(problem.spec))
        cases_.push_back({&problem, data, rows_for(problem.spec), {}, {}});
    }
  }

  std::vector<AccuracyResult> run(Progress& progress) {
    for (std::size_t i = 0; i < cases_.size(); ++i) {
      progress.update(question_.name, i, cases_.size() + 1);
      if (interrupted()) return {};
      measure_ours(cases_[i]);
    }
    pytorch_.run(runtime_.impl()->is_gpu());
    progress.update(question_.name, cases_.size() + 1, cases_.size() + 1);
    std::vector<AccuracyResult> results;
    for (std::size_t i = 0; i < cases_.size(); ++i) add_results(i, results);
    return results;
  }

  const std::string& versions() const { return pytorch_.versions(); }

 private:
  /// `actual`: what was stored, of each output.
  static ResultError error_of(const Case& one, std::size_t output, const std::vector<std::vector<std::byte>>& actual) {
    const Spec& spec = one.problem->spec;
    const Output& tensor = spec.outputs[output];
    const std::int64_t elements = row_elements(spec, tensor.extent);
    if (!is_quantised(tensor))
      return result_error(tensor.dtype, elements, error_unit(spec, tensor), one.exact[output], actual[output].data());
    std::optional<RowScales> scales;
    if (const auto scale = scale_output(spec)) scales = {one.exact[*scale], actual[*scale].data()};
    return quantised_error(tensor.dtype, elements, one.exact[output], actual[output].data(), scales);
  }

  void measure_ours(Case& one) {
    const Spec& spec = one.problem->spec;
    const std::vector<std::vector<std::byte>> inputs = draw_inputs(spec, one.data, one.rows, seed);
    const std::vector<std::vector<std::byte>> actual =
        launch_once(runtime_, *one.problem, one.rows,
                    std::vector<std::span<const std::byte>>(inputs.begin(), inputs.end()));
    one.exact = exact_results(spec, one.rows, inputs);
    for (std::size_t o = 0; o < spec.outputs.size(); ++o) one.ours.push_back(error_of(one, o, actual));
    pytorch_.add(spec, one.rows, inputs);
  }

  void add_results(std::size_t number, std::vector<AccuracyResult>& results) const {
    const Case& one = cases_[number];
    const Spec& spec = one.problem->spec;
    std::vector<std::vector<std::byte>> theirs;
    if (pytorch_.missing(number).empty())
      for (std::size_t o = 0; o < spec.outputs.size(); ++o) theirs.push_back(pytorch_.output(number, o));
    for (std::size_t o = 0; o < spec.outputs.size(); ++o) {
      AccuracyResult& result = results.emplace_back();
      result.op = question_.name;
      result.n = spec.n;
      result.rows = one.rows;
      result.dtype = spec.inputs[0].dtype;
      result.output = spec.outputs[o].name;
      result.data = name_of(one.data);
      result.ours = one.ours[o];
      result.missing = pytorch_.missing(number);
      if (result.missing.empty()) result.pytorch = error_of(one, o, theirs);
    }
  }

  const Runtime& runtime_;
  const Question& question_;
  std::vector<Case> cases_;
  PytorchResults pytorch_;
};

/// How many were compared, how many are worse, and why others were not compared.
void print_summary(const Console& console, const std::vector<AccuracyResult>& results) {
  std::size_t compared = 0, failed = 0;
  std::map<std::string, std::set<std::string>> reasons;  // and the operators that have them
  for (const AccuracyResult& result : results) {
    compared += result.pytorch.has_value();
    failed += !passed(result);
    if (!result.missing.empty()) reasons[result.missing].insert(result.op);
  }
  for (const auto& [reason, operators] : reasons)
    console.line("PyTorch, {}: {}", fmt::join(operators, ", "), reason);
  if (compared + failed > 0)
    console.line("{} {} of {} results are worse than PyTorch's, or not finite",
                 failed == 0 ? console.good("✓") : console.bad("✗"), failed, results.size());
}

}  // namespace

int run_accuracy(const Console& console, const AccuracyArguments& options) {
  if (!options.markdown.empty()) check_output_file(console, options.markdown);
  const std::vector<Question> questions = questions_of(options);
  const Runtime runtime = open_runtime(options.device);
  catch_interrupt();
  Progress progress(console);
  std::vector<AccuracyResult> all;
  std::string versions;
  for (const Question& question : questions) {
    Measurement measurement(runtime, question);
    const std::vector<AccuracyResult> results = measurement.run(progress);
    if (interrupted()) break;
    progress.clear();
    if (!measurement.versions().empty()) versions = measurement.versions();
    console.line("{}  errors in ulp, of quantised results in steps, on {} ({})", console.bold(question.name), runtime.device_name(),
                 runtime.device().name);
    print_results(console, results);
    console.line();
    all.insert(all.end(), results.begin(), results.end());
  }
  progress.clear();
  print_summary(console, all);
  const bool good = std::all_of(all.begin(), all.end(), passed);
  if (interrupted())
    console.line("{} what was not reached is left out", console.bad("interrupted:"));
  else if (!options.markdown.empty())
    write_file_atomically(options.markdown, markdown_table(all), "table");
  Json list = Json::array();
  for (const AccuracyResult& result : all) list.push_back(to_json(result));
  console.document({{"device", runtime.device_name()},
                    {"device_name", runtime.device().name},
                    {"versions", versions},
                    {"results", list},
                    {"interrupted", interrupted()},
                    {"passed", good && !interrupted()}});
  return interrupted() ? exit_interrupted : good ? exit_ok : exit_check_failed;
}

}  // namespace isofold::tools
