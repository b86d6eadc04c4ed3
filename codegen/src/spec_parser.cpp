#include <isofold/codegen/spec.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "op_table.hpp"

namespace isofold {
namespace {

// Words of C++ and names that generated code uses itself.
constexpr std::array<std::string_view, 106> reserved_names{
    "alignas",  "alignof",   "and",      "asm",      "auto",      "bool",     "break",    "case",     "catch",    "char",
    "class",    "compl",     "concept",  "const",    "consteval", "constexpr", "constinit", "continue", "co_await",
    "co_return", "co_yield", "decltype", "default",  "delete",    "do",       "double",   "dynamic_cast", "else",
    "enum",     "explicit",  "export",   "extern",   "false",     "float",    "for",      "friend",   "goto",     "if",
    "inline",   "int",       "long",     "mutable",  "namespace", "new",      "noexcept", "not",      "nullptr",  "operator",
    "or",       "private",   "protected", "public",  "register",  "requires", "return",   "short",    "signed",
    "sizeof",   "static",    "struct",   "switch",   "template",  "this",     "thread_local", "throw", "true",    "try",
    "typedef",  "typeid",    "typename", "union",    "unsigned",  "using",    "virtual",  "void",     "volatile",
    "wchar_t",  "while",     "xor",      "tokens",   "row",       "column",   "n",        "lane",     "warp",     "row_warp",
    "block",    "element",   "live",     "batch",    "segment",   "distance", "pairs",    "factor",   "staged",
    "staged_rows", "lane_sum", "lane_sums", "warp_sums", "block_sums", "workspace", "row_in_block", "i", "e", "p", "s"};
// Generated names are made from a value's name and one of these.
constexpr std::array<std::string_view, 6> reserved_endings{"_words", "_values", "_value", "_exact", "_row", "_stride"};
constexpr std::array<std::string_view, 12> vector_types{"char", "uchar", "short", "ushort", "int",   "uint",
                                                       "long", "ulong", "float", "double", "longlong", "ulonglong"};

bool is_reserved(std::string_view name) {
  if (std::find(reserved_names.begin(), reserved_names.end(), name) != reserved_names.end()) return true;
  if (name == "b" || name == "k" || name == "w" || name == "dim3") return true;
  for (const std::string_view ending : reserved_endings)
    if (name.ends_with(ending)) return true;
  const bool numbered = name.back() >= '1' && name.back() <= '4';
  return numbered && std::find(vector_types.begin(), vector_types.end(), name.substr(0, name.size() - 1)) != vector_types.end();
}

bool is_name_char(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }

/// A recursive-descent parser that appends nodes in depth-first order.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

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
    check();
    return std::move(spec_);
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    const std::size_t from = at_ > 24 ? at_ - 24 : 0;
    std::string shown;
    for (char c : text_.substr(from, 48)) shown += c >= ' ' && c <= '~' ? c : '?';
    throw UsageError(fmt::format("spec: {} at character {}, near \"{}\"", why, at_, shown));
  }
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
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
    if (operation || parse_dtype(name) || is_reserved(name))
      fail(fmt::format("'{}' is reserved and cannot be {}", name, what));
    return name;
  }
  DType dtype() {
    const std::string name = word();
    const auto found = parse_dtype(name);
    if (!found) fail(fmt::format("unknown dtype '{}' (known: f32, bf16, f16)", name));
    return *found;
  }
  void parse_length() {
    if (peek() != 'N') fail("expected N=<row length>");
    ++at_;
    expect('=');
    peek();
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), spec_.n);
    if (error != std::errc()) fail("expected a whole number after N=");
    at_ = static_cast<std::size_t>(end - text_.data());
    if (spec_.n < 1 || spec_.n > max_row_length)
      fail(fmt::format("N is {}, allowed is 1 to {}", spec_.n, max_row_length));
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
      if (extent != "row" && extent != "column") fail("expected [row] or [column]");
      tensor.extent = extent == "row" ? Extent::row : Extent::column;
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
      return append({.op = Op::constant, .value = static_cast<float>(spec_.n)});
    }
    const std::size_t begin = at_;
    const std::string name = word();
    if (name.empty()) fail("expected an expression");
    if (const auto found = values_.find(name); found != values_.end()) return found->second;
    for (std::size_t i = 0; i < spec_.inputs.size(); ++i)
      if (spec_.inputs[i].name == name) return input(static_cast<int>(i));
    if (const auto rounded = parse_dtype(name)) {
      const int a = operand(depth, '(');
      expect(')');
      return append({.op = Op::round, .a = a, .dtype = *rounded});
    }
    for (const OpInfo& info : op_table)
      if (info.name == name) return call(info, depth);
    at_ = begin;
    fail(fmt::format("'{}' is not defined (values must be defined before they are used)", name));
  }
  int input(int tensor) {
    for (std::size_t i = 0; i < spec_.nodes.size(); ++i)
      if (spec_.nodes[i].op == Op::input && spec_.nodes[i].tensor == tensor) return static_cast<int>(i);
    return append({.op = Op::input, .tensor = tensor, .name = spec_.inputs[static_cast<std::size_t>(tensor)].name});
  }
  int operand(int depth, char before) {
    expect(before);
    return expression(depth + 1);
  }
  int call(const OpInfo& info, int depth) {
    Node node{.op = info.op};
    node.a = operand(depth, '(');
    if (info.operands > 1) node.b = operand(depth, ',');
    if (info.operands > 2) node.c = operand(depth, ',');
    expect(')');
    return append(std::move(node));
  }
  int literal() {
    float value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc() || !std::isfinite(value)) fail("expected a finite binary32 number");
    at_ = static_cast<std::size_t>(end - text_.data());
    return append({.op = Op::constant, .value = value});
  }

  void check() {
    if (spec_.outputs.empty()) fail("a spec needs an output, `name: dtype = expression`");
    const auto level = levels(spec_);
    int sums = 0;
    for (const Node& node : spec_.nodes) {
      if (node.op != Op::sum) continue;
      ++sums;
      if (level[static_cast<std::size_t>(node.a)] != Level::element) fail("sum needs a value that varies along the row");
    }
    if (sums != 1) fail(fmt::format("a spec has exactly one sum, this one has {}", sums));
    std::vector<bool> used(spec_.nodes.size(), false);
    for (const Output& output : spec_.outputs) {
      if (level[static_cast<std::size_t>(output.value)] != Level::element)
        fail(fmt::format("output '{}' does not vary along the row", output.name));
      const auto needed = needed_by(spec_, output.value);
      for (std::size_t i = 0; i < used.size(); ++i) used[i] = used[i] || needed[i];
    }
    for (std::size_t i = 0; i < used.size(); ++i)
      if (!used[i]) fail(fmt::format("'{}' is computed and not used by any output", spec_.nodes[i].name));
    bool row_input = false;
    for (std::size_t i = 0; i < spec_.inputs.size(); ++i) {
      row_input = row_input || spec_.inputs[i].extent == Extent::row;
      if (std::none_of(spec_.nodes.begin(), spec_.nodes.end(),
                       [&](const Node& n) { return n.op == Op::input && n.tensor == static_cast<int>(i); }))
        fail(fmt::format("input '{}' is not used", spec_.inputs[i].name));
    }
    if (!row_input) fail("a spec needs an input of extent row");
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Spec spec_;
  std::set<std::string> defined_;
  std::map<std::string, int> values_;
};

}  // namespace

Spec parse_spec(std::string_view text) { return Parser(text).parse(); }

}  // namespace isofold
