#pragma once
#include <string>
#include <vector>

#include "console.hpp"
#include "measure.hpp"
#include "numbers.hpp"
#include "operator_options.hpp"

namespace isofold::tools {

// What each sub-command is told, as text where text can be wrong, and what it does. Every function returns an
// ExitCode and throws UsageError or InternalError.

struct TuneArguments {
  OperatorOptions op;
  std::string device, tokens = default_tokens, output;
  std::string from;  // a record of launches; empty: the operator of the options
  std::string report;  // the page to write; empty: none
  double seconds = 20;
  int max_candidates = 0;
  bool folds = false;
};
int run_tune(const Console& console, const TuneArguments& options);

struct InspectArguments {
  OperatorOptions op;
  std::string device, schedule, show = "plan", tokens = "1", alignment = "16", page;
  bool workspace = false;
};
int run_inspect(const Console& console, const InspectArguments& options);

struct VerifyArguments {
  OperatorOptions op;
  std::vector<std::string> devices = {"auto"};
  std::string tokens = "1..1024", schedule, seed = "1", hashes, write_hashes, report;
  bool all_schedules = false;
};
int run_verify(const Console& console, const VerifyArguments& options);

struct AccuracyArguments {
  OperatorOptions op;
  std::string device, markdown;
  bool all = false;  // every named operator in f32, bf16 and f16
};
int run_accuracy(const Console& console, const AccuracyArguments& options);

int run_bench(const Console& console, const MeasureOptions& options);

struct ChartArguments {
  MeasureOptions measure;
  std::string from, output = "isofold-chart", axis = "categories";
};
int run_chart(const Console& console, const ChartArguments& options);

struct BundleArguments {
  OperatorOptions op;
  std::vector<std::string> devices = {"auto"};
  std::string tokens = "1..4096", alignment = "16", list, from, output = "isofold.bundle", check;
};
int run_bundle(const Console& console, const BundleArguments& options);

struct TableArguments {
  enum class Action { list, merge };
  Action action = Action::list;
  std::vector<std::string> files;
  std::string output;
};
int run_table(const Console& console, const TableArguments& options);

struct CacheArguments {
  enum class Action { list, verify, prune, clear };
  Action action = Action::list;
  std::string max_size, unused_for;
};
int run_cache(const Console& console, const CacheArguments& options);

struct ExplainArguments {
  std::vector<std::string> configurations;  // two
};
int run_explain(const Console& console, const ExplainArguments& options);

struct ProbeArguments {
  OperatorOptions op;
  std::string device, tokens = "1,2,8,32,128", library, symbol, form = "rows", python, arrays, svg;
  bool all_schedules = false;
};
int run_probe(const Console& console, const ProbeArguments& options);

struct DoctorArguments {
  std::string device;
};
int run_doctor(const Console& console, const DoctorArguments& options);

}  // namespace isofold::tools
