#include "configuration.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <isofold/codegen/operators.hpp>
#include <isofold/error.hpp>
#include <map>

#include "files.hpp"
#include "fold_picture.hpp"
#include "operator_line.hpp"
#include "sum_tree.hpp"

namespace isofold::tools {
namespace {

/// Rows up to which two folds are compared element by element.
constexpr std::int64_t most_compared = 1 << 16;

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  for (std::size_t start = 0;;) {
    const std::size_t end = text.find(separator, start);
    parts.push_back(text.substr(start, end - start));
    if (end == text.npos) return parts;
    start = end + separator.size();
  }
}

Configuration from_plan_text(const std::string& text) {
  const std::vector<std::string> parts = split(text, " | ");
  Configuration configuration;
  configuration.spec = parse_spec(parts[0]);
  configuration.fold = parts.size() > 1 ? parse_fold(parts[1]) : default_fold(configuration.spec);
  if (parts.size() > 2) configuration.schedule = parse_schedule(parts[2]);
  if (parts.size() > 3) configuration.target = parts[3];
  if (parts.size() > 4) throw UsageError(fmt::format("\"{}\" has more than a spec, a fold, a schedule and a target", text));
  return configuration;
}

/// The header of a generated .cu, or the module's name of LLVM IR.
Configuration from_kernel(const std::string& path) {
  const std::string content = read_file(path, "generated kernel");
  const auto line = [&](const std::string& begin, char end) {
    const std::size_t place = content.find(begin);
    if (place == content.npos) return std::string();
    const std::size_t first = place + begin.size();
    return content.substr(first, content.find(end, first) - first);
  };
  if (const std::string module = line("; ModuleID = '", '\''); !module.empty()) return from_plan_text(module);
  const std::string spec = line("// spec      ", '\n'), fold = line("// fold      ", '\n');
  if (spec.empty() || fold.empty())
    throw UsageError(fmt::format("{} is no generated kernel: it has no header with spec and fold", path));
  Configuration configuration{parse_spec(spec), parse_fold(fold), std::nullopt, line("// target    ", '\n')};
  if (const std::string schedule = line("// schedule  ", '\n'); !schedule.empty())
    configuration.schedule = parse_schedule(schedule);
  return configuration;
}

/// The fields of a text of "name=value" words.
std::map<std::string, std::string> fields_of(const std::string& text) {
  std::map<std::string, std::string> fields;
  for (const std::string& word : split(text, " "))
    if (const std::size_t equal = word.find('='); equal != word.npos) fields[word.substr(0, equal)] = word.substr(equal + 1);
  return fields;
}

void add_fields(const std::string& name, const std::string& a, const std::string& b, std::vector<std::string>& differences) {
  std::map<std::string, std::string> of_a = fields_of(a), of_b = fields_of(b);
  for (const auto& [key, value] : of_a)
    if (of_b[key] != value) differences.push_back(fmt::format("{}.{}: {} and {}", name, key, value, of_b[key]));
}

/// The statements of a Spec's text by name.
std::vector<std::pair<std::string, std::string>> statements_of(const Spec& spec) {
  std::string body = text(spec);
  body = body.substr(body.find('{') + 1);
  body.resize(body.rfind('}'));
  std::vector<std::pair<std::string, std::string>> statements;
  for (std::string statement : split(body, ";")) {
    statement.erase(0, statement.find_first_not_of(' '));
    statement.erase(statement.find_last_not_of(' ') + 1);
    const std::size_t end = std::min(statement.find(" = "), statement.find(": "));
    if (end != statement.npos) statements.emplace_back(statement.substr(0, end), statement);
  }
  return statements;
}

std::string words_of(const Tensor& tensor) {
  return fmt::format("{}[{}{}]", name_of(tensor.dtype), name_of(tensor.extent),
                     tensor.groups > 1 ? fmt::format(" {}", tensor.groups) : "");
}

/// Things with names, on both sides, in the order of the first.
template <class Items, class Words>
void add_named(const std::string& kind, const Items& a, const Items& b, const Words& words, std::vector<std::string>& differences) {
  const auto find = [](const Items& items, const std::string& name) {
    return std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.first == name; });
  };
  for (const auto& item : a)
    if (const auto other = find(b, item.first); other == b.end())
      differences.push_back(fmt::format("spec: only the first has the {} {}", kind, item.first));
    else if (words(item.second) != words(other->second))
      differences.push_back(fmt::format("spec: the {} {} is \"{}\" and \"{}\"", kind, item.first, words(item.second), words(other->second)));
  for (const auto& item : b)
    if (find(a, item.first) == a.end()) differences.push_back(fmt::format("spec: only the second has the {} {}", kind, item.first));
}

std::vector<std::string> spec_differences(const Spec& a, const Spec& b) {
  std::vector<std::string> differences;
  if (a.n != b.n) differences.push_back(fmt::format("spec: N is {} and {}", a.n, b.n));
  const auto named = [](const std::vector<Tensor>& tensors) {
    std::vector<std::pair<std::string, std::string>> all;
    for (const Tensor& tensor : tensors) all.emplace_back(tensor.name, words_of(tensor));
    return all;
  };
  const auto itself = [](const std::string& words) { return words; };
  add_named("input", named(a.inputs), named(b.inputs), itself, differences);
  // Where N differs it is in the statements, too; that was said.
  const auto statements = [&](const Spec& spec) {
    auto all = statements_of(spec);
    if (a.n != b.n)
      for (auto& [name, statement] : all) {
        std::string with_n;
        for (const std::string& part : split(statement, std::to_string(spec.n))) with_n += (with_n.empty() ? "" : "N") + part;
        statement = with_n;
      }
    return all;
  };
  add_named("statement", statements(a), statements(b), itself, differences);
  if (differences.empty()) differences.push_back("spec: inputs, statements or outputs stand in another order");
  return differences;
}

/// The elements that each lane adds one after the other; they are fused where the sum is one of products.
std::vector<std::int64_t> chains_of(const Fold& fold, std::int64_t n) {
  std::vector<std::int64_t> lane_of_element;
  const std::int64_t per_segment = leaves_per_segment(fold, n);
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> first_of_lane;
  for (std::int64_t element = 0; element < n; ++element) {
    const std::int64_t leaf = element / fold.leaf, segment = leaf / per_segment;
    const auto [place, made] = first_of_lane.try_emplace({segment, (leaf - segment * per_segment) % fold.lanes}, element);
    lane_of_element.push_back(place->second);
  }
  return lane_of_element;
}

/// Why two folds give the same bits for this Spec all the same; empty when they need not.
std::string same_in_spite_of_folds(const Spec& spec, const Fold& a, const Fold& b) {
  const std::string reduced = reduction_words(spec);
  if (reduced.empty()) return fmt::format("{} reduces nothing", spec.op);
  if (reduced.find("sum") == reduced.npos) return fmt::format("a {} has the same bits in any order", reduced);
  if (spec.n == 0) return "rows have no elements";
  if (spec.n <= most_compared && chains_of(a, spec.n) == chains_of(b, spec.n) &&
      tree_of(a, spec.n).digest() == tree_of(b, spec.n).digest())
    return fmt::format("over rows of {} elements both are one tree", spec.n);
  return {};
}

}  // namespace

Configuration parse_configuration(const std::string& text) {
  if (text.find('{') != text.npos) return from_plan_text(text);
  if (std::error_code error; std::filesystem::is_regular_file(text, error)) return from_kernel(text);
  const std::string name = text.substr(0, text.find(' '));
  const auto named = named_operators();
  if (std::none_of(named.begin(), named.end(), [&](const NamedOperator& op) { return op.name == name; }))
    throw UsageError(fmt::format("\"{}\" is neither a named operator with its options (\"rms_norm -n 4096\"), nor a Spec, nor a file "
                                 "with a generated kernel",
                                 text));
  const Problem problem = parse_operator_line("--op " + text).op.problem();
  return {problem.spec, problem.fold, std::nullopt, ""};
}

Comparison compare(const Configuration& a, const Configuration& b) {
  Comparison comparison;
  std::vector<std::string> speed;
  if (a.schedule && b.schedule) add_fields("schedule", text(*a.schedule), text(*b.schedule), speed);
  if (a.schedule && b.schedule && a.schedule->index() != b.schedule->index()) speed = {"schedule: one of a GPU, one of a CPU"};
  if (a.target != b.target && !a.target.empty() && !b.target.empty())
    speed.push_back(fmt::format("target: {} and {}", a.target, b.target));

  std::vector<std::string> meaning;
  std::string in_spite;
  Spec renamed = a.spec;
  renamed.op = b.spec.op;
  const bool same_spec = renamed == b.spec;
  if (!same_spec) meaning = spec_differences(a.spec, b.spec);
  if (a.fold != b.fold) {
    add_fields("fold", text(a.fold), text(b.fold), meaning);
    if (same_spec) in_spite = same_in_spite_of_folds(a.spec, a.fold, b.fold);
  }
  comparison.same_bits = meaning.empty() || !in_spite.empty();
  comparison.differences = meaning;
  if (a.spec.op != b.spec.op) speed.insert(speed.begin(), fmt::format("name: {} and {}", a.spec.op, b.spec.op));
  comparison.differences.insert(comparison.differences.end(), speed.begin(), speed.end());

  if (!comparison.same_bits)
    comparison.sentence = fmt::format("Not the same bits: they differ in {}.", fmt::join(meaning, "; "));
  else if (!in_spite.empty())
    comparison.sentence = fmt::format("The same bits: they differ in {}, but {}.", fmt::join(meaning, "; "), in_spite);
  else if (speed.empty())
    comparison.sentence = "The same bits: Spec and Fold are equal.";
  else
    comparison.sentence =
        fmt::format("The same bits: Spec and Fold are equal; they differ in {}, which cannot change a bit.", fmt::join(speed, "; "));
  return comparison;
}

}  // namespace isofold::tools
