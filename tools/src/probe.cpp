#include <isofold/codegen/candidates.hpp>
#include <isofold/error.hpp>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "callable.hpp"
#include "commands.hpp"
#include "files.hpp"
#include "output_file.hpp"
#include "target.hpp"
#include "tree_drawing.hpp"
#include "tree_document.hpp"
#include "tree_probe.hpp"

namespace isofold::tools {
namespace {

/// A tree that was found, and what it is called.
struct FoundTree {
  std::string name;  // "A", "B", ...
  SumTree tree;
  std::optional<Fold> fold;
};

std::string words_of(const FoundTree& found) {
  const std::string form = found.fold && (found.fold->lanes > 1 || found.fold->segments > 1)
                               ? "the fold " + text(*found.fold)
                           : found.fold ? std::string("one chain, the first element first")
                           : found.tree.chain(found.tree.root()) ? std::string("one chain")
                                                                 : std::string("no fold of Isofold");
  return fmt::format("Tree {}: {}; {} in {}", found.name, form, counted(found.tree.elements(), "element"),
                     counted(found.tree.depth(), "step"));
}

/// The trees of one run, each once.
class Trees {
 public:
  const FoundTree& add(SumTree tree) {
    const std::string digest = tree.digest();
    const auto known = places_.find(digest);
    if (known != places_.end()) return trees_[known->second];
    places_[digest] = trees_.size();
    const auto letter = static_cast<char>('A' + static_cast<int>(trees_.size() % 26));
    const std::size_t round = trees_.size() / 26;
    std::optional<Fold> fold = fold_of(tree);
    trees_.push_back({letter + (round == 0 ? "" : std::to_string(round + 1)), std::move(tree), fold});
    return trees_.back();
  }
  const std::vector<FoundTree>& all() const { return trees_; }

 private:
  std::map<std::string, std::size_t> places_;
  std::vector<FoundTree> trees_;
};

void show_trees(const Console& console, const Trees& trees) {
  constexpr std::size_t most = 4;
  for (std::size_t i = 0; i < std::min(trees.all().size(), most); ++i) {
    const FoundTree& found = trees.all()[i];
    console.line();
    console.line("{}", console.bold(words_of(found)));
    for (const std::string& line : branch_lines(branch_of(found.tree), "sum")) console.line("  {}", line);
  }
  if (trees.all().size() > most) console.line("\n... and {} more", trees.all().size() - most);
}

Json to_json(const Trees& trees) {
  Json list = Json::array();
  for (const FoundTree& found : trees.all())
    list.push_back({{"tree", found.name},
                    {"digest", found.tree.digest()},
                    {"elements", found.tree.elements()},
                    {"steps", found.tree.depth()},
                    {"fold", found.fold ? Json(text(*found.fold)) : Json(nullptr)}});
  return list;
}

void write_svg(const Console& console, const std::string& path, const std::string& title, const Trees& trees) {
  std::vector<TreePicture> pictures;
  for (const FoundTree& found : trees.all()) pictures.push_back({words_of(found), branch_of(found.tree), "sum"});
  write_file_atomically(path, trees_svg(title, pictures), "picture");
  console.line("{}", path);
}

/// One callable over several token counts.
int probe_counts(const Console& console, const ProbeArguments& options, Callable& callable, std::int64_t n) {
  const std::vector<std::int64_t> counts = parse_tokens(options.tokens);
  console.line("{}", console.bold(fmt::format("{}, rows of {}", callable.name(), counted(n, "element"))));
  Trees trees;
  std::string no_tree;  // why, at the first count without one
  std::size_t with_tree = 0, without_tree = 0;
  std::int64_t differing = 0;
  Json rows = Json::array();
  Table table({">tokens", "tree", ">calls", "as it predicts", "other bits than alone"});
  Progress progress(console);
  for (std::size_t i = 0; i < counts.size() && !interrupted(); ++i) {
    const std::int64_t tokens = counts[i];
    progress.update("probe", i, counts.size());
    std::string name = "-", confirmed = "-";
    std::int64_t calls = 0;
    Json row = {{"tokens", tokens}, {"tree", nullptr}};
    // What is no sum at the first count will be none at the others.
    if (no_tree.empty() || with_tree > 0) {
      try {
        const ProbedTree probed = probe_tree(callable, n, tokens);
        name = trees.add(probed.tree).name;
        ++with_tree;
        calls = probed.calls;
        row["tree"] = name;
        row["calls"] = calls;
        if (probed.confirmed >= 0) {
          confirmed = fmt::format("{} of {} rows", probed.confirmed, tokens);
          row["as_predicted"] = probed.confirmed;
        }
      } catch (const NoTree& why) {
        if (interrupted()) break;
        ++without_tree;
        if (no_tree.empty()) no_tree = fmt::format("over {}: {}", counted(tokens, "token"), why.what());
        row["no_tree"] = why.what();
      }
    }
    const RowBits bits = compare_rows(callable, n, tokens);
    differing += bits.differing;
    row["rows"] = bits.rows;
    row["differing_rows"] = bits.differing;
    rows.push_back(row);
    table.row({std::to_string(tokens), name, std::to_string(calls), confirmed,
               bits.differing == 0 ? "none" : console.bad(fmt::format("{} of {} rows", bits.differing, bits.rows))});
    progress.update("probe", i + 1, counts.size());
  }
  progress.clear();
  table.print(console);
  const bool one_tree = trees.all().size() <= 1 && (with_tree == 0 || without_tree == 0);
  const bool invariant = differing == 0 && one_tree;
  const std::int64_t last = rows.empty() ? counts.front() : rows.back().at("tokens").get<std::int64_t>();
  const std::string range = last == counts.front() ? counted(last, "token") : fmt::format("{} to {} tokens", counts.front(), last);
  if (invariant)
    console.line("{} batch-invariant as far as was tried: {}, {}the same bits", console.good("✓"), range,
                 trees.all().empty() ? "" : "one tree, ");
  else
    console.line("{} not batch-invariant: {}{}", console.bad("✗"),
                 one_tree                  ? ""
                 : trees.all().size() == 1 ? "one tree at some token counts, none at others"
                                           : fmt::format("{} trees over {}", trees.all().size(), range),
                 differing == 0 ? ""
                                : fmt::format("{}{} with other bits than the same row alone", one_tree ? "" : ", ",
                                              counted(differing, "row")));
  if (!no_tree.empty()) console.line("no summation tree {}", no_tree);
  show_trees(console, trees);
  if (!options.svg.empty() && !trees.all().empty()) write_svg(console, options.svg, callable.name(), trees);
  console.document({{"callable", callable.name()},
                    {"n", n},
                    {"dtype", name_of(callable.dtype())},
                    {"batch_invariant", invariant},
                    {"interrupted", interrupted()},
                    {"no_tree", no_tree},
                    {"counts", rows},
                    {"trees", to_json(trees)}});
  if (!invariant) return exit_check_failed;
  return interrupted() ? exit_interrupted : exit_ok;
}

/// Every schedule of an operator of Isofold against the tree of its fold.
int probe_schedules(const Console& console, const ProbeArguments& options, const Runtime& runtime, const Problem& problem) {
  const std::vector<std::int64_t> counts = parse_tokens(options.tokens);
  const std::vector<Plan> plans = candidates(problem.spec, problem.fold, runtime.device());
  const std::string expected = tree_of(problem.fold, problem.spec.n).digest();
  Trees trees;
  Json list = Json::array();
  std::size_t others = 0;
  Progress progress(console);
  for (std::size_t i = 0; i < plans.size() && !interrupted(); ++i) {
    progress.update("probe", i, plans.size());
    const auto callable = operator_callable(runtime, problem, plans[i]);
    for (const std::int64_t tokens : counts) {
      const FoundTree& found = trees.add(probe_tree(*callable, problem.spec.n, tokens).tree);
      const bool same = found.tree.digest() == expected;
      others += !same;
      list.push_back({{"schedule", text(plans[i].schedule())}, {"tokens", tokens}, {"tree", found.name}, {"as_the_fold", same}});
      if (!same) console.line("{} {} over {}: tree {}", console.bad("✗"), text(plans[i].schedule()), counted(tokens, "token"), found.name);
    }
    progress.update("probe", i + 1, plans.size());
  }
  progress.clear();
  console.line("{} {} on {}: {} of {} have the tree of {}", others == 0 ? console.good("✓") : console.bad("✗"),
               title_of(problem.spec), runtime.device_name(), list.size() - others,
               counted(static_cast<std::int64_t>(list.size()), "schedule and token count"), text(problem.fold));
  show_trees(console, trees);
  if (!options.svg.empty()) write_svg(console, options.svg, title_of(problem.spec), trees);
  console.document({{"spec", text(problem.spec)},
                    {"fold", text(problem.fold)},
                    {"device", runtime.device_name()},
                    {"batch_invariant", others == 0},
                    {"interrupted", interrupted()},
                    {"schedules", list},
                    {"trees", to_json(trees)}});
  if (others > 0) return exit_check_failed;
  return interrupted() ? exit_interrupted : exit_ok;
}

}  // namespace

int run_probe(const Console& console, const ProbeArguments& options) {
  catch_interrupt();
  if (!options.svg.empty()) check_output_file(console, options.svg);
  const bool own = options.library.empty() && options.python.empty();
  if (own) {
    const Problem problem = options.op.problem();
    if (problem.spec.n < 1) throw UsageError("-n 0: rows without elements have no tree");
    const Runtime runtime = open_runtime(options.device);
    if (options.all_schedules) return probe_schedules(console, options, runtime, problem);
    const auto callable = operator_callable(runtime, problem);
    return probe_counts(console, options, *callable, problem.spec.n);
  }
  if (options.op.n.size() != 1) throw UsageError(fmt::format("-n has {} values; probe takes one", options.op.n.size()));
  const std::int64_t n = parse_whole("-n", options.op.n.front(), 1, 1 << 20);
  const auto dtype = parse_dtype(options.op.dtype);
  if (!dtype) throw UsageError(fmt::format("--dtype is \"{}\"; allowed are f32, f64, bf16 and f16", options.op.dtype));
  const std::string device = options.device.empty() ? "cpu" : options.device;
  if (device != "cpu" && device != "cuda")
    throw UsageError(fmt::format("--device is \"{}\"; allowed for functions of others are cpu and cuda", device));
  if (!options.library.empty() && device == "cuda") throw UsageError("--library: its functions get memory of the CPU");
  const auto callable = options.library.empty()
                            ? python_callable(options.python, options.arrays, device, *dtype)
                            : library_callable(options.library, options.symbol, options.form, *dtype);
  return probe_counts(console, options, *callable, n);
}

}  // namespace isofold::tools
