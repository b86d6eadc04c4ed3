#include <isofold/codegen/functions.hpp>
#include <isofold/codegen/spec.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <set>
#include <span>

#include "function_parser.hpp"
#include "op_table.hpp"
#include "reserved_names.hpp"

namespace isofold {
namespace {

constexpr Extent all_extents[] = {Extent::row, Extent::column, Extent::token, Extent::scalar};

std::string known_dtypes() {
  std::string names;
  for (const DType dtype : all_dtypes) names += fmt::format("{}{}", names.empty() ? "" : ", ", name_of(dtype));
  return names;
}

bool is_name_char(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }

/// A recursive-descent parser that appends nodes in depth-first order.
class Parser {
 public:
  /// `functions`: those that the text may call.
  Parser(std::string_view what, std::string_view text, std::span<const Function> functions)
      : what_(what), text_(text), functions_(functions) {}

  Spec parse() {
    if (text_.size() > max_spec_text) fail(fmt::format("a spec text has at most {} characters", max_spec_text));
    spec_.op = identifier("the operator's name");
    parse_length();
    parse_tensors();
    expect('{');
    do parse_statement();
    while (accept(';'));
    expect('}');
    if (peek() != '\0') fail("expected the end of the text");
    const auto level = levels(spec_);
    for (Output& output : spec_.outputs)
      if (level[static_cast<std::size_t>(output.value)] == Level::row) output.extent = Extent::token;
    if (const std::string rule = broken_rule(spec_); !rule.empty()) throw UsageError(fmt::format("{}: {}", what_, rule));
    return std::move(spec_);
  }

  /// `name(a, b) { value = expression; ...; expression }`
  Function parse_function() {
    Function function;
    in_function_ = true;  // whose generated text has names of its own
    function.name = word();
    expect('(');
    do {
      function.parameters.push_back(identifier("a parameter's name"));
      const int place = static_cast<int>(function.parameters.size()) - 1;
      values_[function.parameters.back()] = append({.op = Op::parameter, .tensor = place, .name = function.parameters.back()});
    } while (accept(','));
    expect(')');
    expect('{');
    while (true) {
      peek();
      const std::size_t begin = at_;
      word();
      const bool statement = peek() == '=';
      at_ = begin;
      if (!statement) break;
      parse_statement();
      expect(';');
    }
    function.result = expression(0);
    expect('}');
    if (function.parameters.size() > 3) fail("a function has at most 3 parameters");
    if (spec_.nodes.size() > max_function_nodes) fail(fmt::format("a function has at most {} values", max_function_nodes));
    function.types = types(spec_);
    function.nodes = std::move(spec_.nodes);
    return function;
  }
  bool at_end() { return peek() == '\0'; }
  void give_functions(std::span<const Function> functions) { functions_ = functions; spec_ = {}; values_.clear(); defined_.clear(); }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    const std::size_t from = at_ > 24 ? at_ - 24 : 0;
    std::string shown;
    for (char c : text_.substr(from, 48)) shown += c >= ' ' && c <= '~' ? c : '?';
    throw UsageError(fmt::format("{}: {} at character {}, near \"{}\"", what_, why, at_, shown));
  }
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '#'))
      at_ = text_[at_] == '#' ? std::min(text_.find('\n', at_), text_.size()) : at_ + 1;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(fmt::format("expected '{}'", c));
  }
  std::string word() {
    peek();
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }
  std::string identifier(std::string_view what) {
    const std::string name = word();
    const bool operation = std::any_of(op_table.begin(), op_table.end(), [&](const OpInfo& i) { return i.name == name; });
    if (name.empty() || name[0] < 'a' || name[0] > 'z' || name.size() > 32)
      fail(fmt::format("expected {}: a lower-case identifier of at most 32 characters", what));
    const bool function = std::any_of(functions_.begin(), functions_.end(), [&](const Function& f) { return f.name == name; });
    if (operation || function || name == "index" || name == "inf" || name == "at" || parse_dtype(name) ||
        (!in_function_ && is_reserved_name(name)))
      fail(fmt::format("'{}' is reserved and cannot be {}", name, what));
    return name;
  }
  DType dtype() {
    const std::string name = word();
    const auto found = parse_dtype(name);
    if (!found) fail(fmt::format("unknown dtype '{}' (known: {})", name, known_dtypes()));
    return *found;
  }
  void parse_length() {
    if (peek() != 'N') fail("expected N=<row length>");
    ++at_;
    expect('=');
    spec_.n = whole(0, max_row_length, "N");
  }
  int groups() { return static_cast<int>(whole(2, max_groups, "the number of rows in a group")); }
  std::int64_t whole(std::int64_t least, std::int64_t most, std::string_view what) {
    peek();
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error == std::errc::invalid_argument) fail(fmt::format("expected a whole number: {}", what));
    if (error != std::errc() || value < least || value > most)
      fail(fmt::format("{} is {}, allowed is {} to {}", what, text_.substr(at_, static_cast<std::size_t>(end - text_.data()) - at_), least, most));
    at_ = static_cast<std::size_t>(end - text_.data());
    return value;
  }
  void parse_tensors() {
    expect('(');
    do {
      Tensor tensor;
      tensor.name = identifier("a tensor's name");
      expect(':');
      tensor.dtype = dtype();
      expect('[');
      const std::string extent = word();
      const auto found = std::find_if(std::begin(all_extents), std::end(all_extents), [&](Extent e) { return name_of(e) == extent; });
      if (found == std::end(all_extents)) fail("expected [row], [column], [token] or [scalar]");
      tensor.extent = *found;
      const bool may_have_groups = tensor.extent == Extent::row || tensor.extent == Extent::column;
      if (may_have_groups && peek() != ']') tensor.groups = groups();
      expect(']');
      if (!defined_.insert(tensor.name).second) fail(fmt::format("'{}' is defined twice", tensor.name));
      spec_.inputs.push_back(tensor);
    } while (accept(','));
    expect(')');
  }
  void parse_statement() {
    const std::string name = identifier("a value's name");
    if (!defined_.insert(name).second) fail(fmt::format("'{}' is defined twice", name));
    if (accept(':')) {
      Output output{name, dtype(), -1};
      if (accept('[')) {
        if (word() != "row") fail("expected [row <number>]");
        output.groups = groups();
        expect(']');
      }
      expect('=');
      output.value = expression(0);
      spec_.outputs.push_back(output);
      return;
    }
    if (!spec_.outputs.empty()) fail("outputs come after all other values");
    expect('=');
    const int value = expression(0);
    if (!spec_.nodes[static_cast<std::size_t>(value)].name.empty() ||
        spec_.nodes[static_cast<std::size_t>(value)].op == Op::input)
      fail(fmt::format("'{}' only gives another value a second name", name));
    spec_.nodes[static_cast<std::size_t>(value)].name = name;
    values_[name] = value;
  }
  int append(Node node) {
    spec_.nodes.push_back(std::move(node));
    return static_cast<int>(spec_.nodes.size()) - 1;
  }
  int expression(int depth) {
    if (depth > max_expression_depth) fail(fmt::format("an expression is nested at most {} deep", max_expression_depth));
    const char c = peek();
    if ((c >= '0' && c <= '9') || c == '-' || c == '.') return literal();
    if (c == 'N') {
      ++at_;
      return append({.op = Op::constant, .value = is_wide(spec_) ? static_cast<double>(spec_.n) : static_cast<float>(spec_.n)});
    }
    const std::size_t begin = at_;
    const std::string name = word();
    if (name.empty()) fail("expected an expression");
    if (name == "inf") return append({.op = Op::constant, .value = std::numeric_limits<double>::infinity()});
    if (name == "index") return append({.op = Op::index});
    if (name == "at") return element(depth);
    if (const auto found = values_.find(name); found != values_.end()) return found->second;
    for (std::size_t i = 0; i < spec_.inputs.size(); ++i)
      if (spec_.inputs[i].name == name) return input(static_cast<int>(i));
    if (const auto rounded = parse_dtype(name)) {
      const int a = operand(depth, '(');
      expect(')');
      return append({.op = Op::round, .a = a, .dtype = *rounded});
    }
    for (const OpInfo& info : op_table)
      if (info.name == name) return call({.op = info.op}, info.operands, depth);
    for (std::size_t i = 0; i < functions_.size(); ++i)
      if (functions_[i].name == name)
        return call({.op = Op::call, .function = static_cast<int>(i)}, static_cast<int>(functions_[i].parameters.size()), depth);
    at_ = begin;
    fail(fmt::format("'{}' is not defined (values must be defined before they are used)", name));
  }
  int input(int tensor) {
    for (std::size_t i = 0; i < spec_.nodes.size(); ++i)
      if (spec_.nodes[i].op == Op::input && spec_.nodes[i].tensor == tensor) return static_cast<int>(i);
    return append({.op = Op::input, .tensor = tensor, .name = spec_.inputs[static_cast<std::size_t>(tensor)].name});
  }
  /// `at(x, place)`.
  int element(int depth) {
    expect('(');
    const std::string name = word();
    const auto tensor = std::find_if(spec_.inputs.begin(), spec_.inputs.end(), [&](const Tensor& t) { return t.name == name; });
    if (tensor == spec_.inputs.end()) fail(fmt::format("at takes an input and a place in its row; '{}' is no input", name));
    const int place = operand(depth, ',');
    expect(')');
    return append({.op = Op::element, .a = place, .tensor = static_cast<int>(tensor - spec_.inputs.begin())});
  }
  int operand(int depth, char before) {
    expect(before);
    return expression(depth + 1);
  }
  int call(Node node, int operands, int depth) {
    node.a = operand(depth, '(');
    if (operands > 1) node.b = operand(depth, ',');
    if (operands > 2) node.c = operand(depth, ',');
    expect(')');
    return append(std::move(node));
  }
  int literal() {
    const char* const begin = text_.data() + at_;
    const char* const limit = text_.data() + text_.size();
    std::int32_t integer = 0;
    const auto [integer_end, integer_error] = std::from_chars(begin, limit, integer);
    if (integer_end != limit && *integer_end == 'i') {
      if (integer_error != std::errc()) fail("an integer is from -2147483648i to 2147483647i");
      at_ = static_cast<std::size_t>(integer_end - text_.data()) + 1;
      return append({.op = Op::integer, .integer = integer});
    }
    float narrow = 0;
    double value = 0;
    const bool wide = is_wide(spec_);
    const auto [end, error] = wide ? std::from_chars(begin, limit, value) : std::from_chars(begin, limit, narrow);
    if (!wide) value = narrow;
    if (error != std::errc() || value != value) fail(fmt::format("expected a {} number", wide ? "binary64" : "binary32"));
    at_ = static_cast<std::size_t>(end - text_.data());
    return append({.op = Op::constant, .value = value});
  }

  std::string_view what_;
  std::string_view text_;
  std::span<const Function> functions_;
  std::size_t at_ = 0;
  bool in_function_ = false;
  Spec spec_;
  std::set<std::string> defined_;
  std::map<std::string, int> values_;
};

}  // namespace

Spec parse_spec(std::string_view text) { return Parser("spec", text, functions()).parse(); }

std::vector<Function> parse_functions(std::string_view text) {
  std::vector<Function> out;
  Parser parser("function", text, {});
  while (!parser.at_end()) {
    parser.give_functions(out);
    out.push_back(parser.parse_function());
  }
  return out;
}

}  // namespace isofold
