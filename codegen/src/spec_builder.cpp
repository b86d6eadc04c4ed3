#include <isofold/codegen/spec_builder.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <span>

#include "called_operation.hpp"
#include "reserved_names.hpp"

namespace isofold {

/// Every value ever made, operands before their uses, with the names that were given.
struct SpecGraph {
  Spec spec;
  std::vector<Type> types;
  std::vector<int> named;  // in the order in which they were named
  bool builder_is_gone = false;

  int append(Node node, Type type) {
    spec.nodes.push_back(std::move(node));
    types.push_back(type);
    return static_cast<int>(spec.nodes.size()) - 1;
  }
  const Node& node(const Value& value) const { return spec.nodes[static_cast<std::size_t>(value.node_)]; }

  Value apply(const std::shared_ptr<SpecGraph>& self, std::string_view name, std::span<const Value> operands);
  int operand(const Value& value, char type, std::string_view operation);
  /// f, i, b: the types; ?: a literal that can be f or i.
  char letter(const Value& value) const;
  void check_owner(std::string_view what, const Value& value) const;
  std::string shown(const Value& value) const;
};

namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

std::string_view type_name(char letter) {
  return letter == 'f' ? "float" : letter == 'i' ? "integer" : letter == 'b' ? "truth value" : "whole number";
}

/// "(float, float) or (integer, integer)"
std::string allowed_types(const std::vector<std::string>& forms) {
  std::string out;
  for (const std::string& form : forms) {
    out += out.empty() ? "(" : " or (";
    for (std::size_t i = 0; i + 1 < form.size(); ++i)
      out += fmt::format("{}{}", i ? ", " : "", type_name(form[i]));
    out += ")";
  }
  return out;
}

/// Would the text still say the same with this name in it? Whether the name is free is for the parser to say.
void check_form(std::string_view what, std::string_view name) {
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  if (!name.empty() && name.size() <= 32 && name[0] >= 'a' && name[0] <= 'z' &&
      std::all_of(name.begin(), name.end(), allowed))
    return;
  std::string shown(name.substr(0, 40));
  for (char& c : shown) c = c >= ' ' && c <= '~' ? c : '?';
  throw UsageError(fmt::format(
      "SpecBuilder: \"{}\" cannot be {}: allowed is a lower-case identifier of at most 32 characters", shown,
      what));
}

/// The shortest text of a literal that was a float or a double.
std::string number_text(double number) {
  const auto narrow = static_cast<float>(number);
  return static_cast<double>(narrow) == number ? fmt::format("{}", narrow) : fmt::format("{}", number);
}

/// The constants as the text would have them, whatever the thread's rounding mode.
void make_binary32(Spec& spec) {
  for (Node& node : spec.nodes) {
    if (node.op != Op::constant) continue;
    const std::string text = fmt::format("{}", node.value);
    float value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc())
      throw UsageError(fmt::format("SpecBuilder of '{}': {} is no binary32 number", spec.op, text));
    node.value = value;
  }
}

/// What names and outputs need, operands first, named values in the order in which they were named.
Spec needed_and_ordered(const SpecGraph& graph) {
  Spec out = graph.spec;
  out.nodes.clear();
  std::vector<int> place(graph.spec.nodes.size(), -1);
  const auto take = [&](int root) {
    std::vector<int> open{root};  // and no recursion: values are nested as deep as the caller likes
    while (!open.empty()) {
      Node node = graph.spec.nodes[at(open.back())];
      int missing = -1;
      for (int* operand : {&node.c, &node.b, &node.a}) {
        if (*operand < 0) continue;
        if (place[at(*operand)] < 0) missing = *operand;
        *operand = place[at(*operand)];
      }
      if (missing >= 0) {
        open.push_back(missing);
        continue;
      }
      place[at(open.back())] = static_cast<int>(out.nodes.size());
      out.nodes.push_back(std::move(node));
      open.pop_back();
    }
    return place[at(root)];
  };
  for (const int node : graph.named)
    if (place[at(node)] < 0) take(node);
  for (Output& output : out.outputs)
    output.value = place[at(output.value)] < 0 ? take(output.value) : place[at(output.value)];
  return out;
}

/// Names what the text has to write once: what is used twice, and what else would be nested too deep.
void name_shared_values(Spec& spec) {
  std::set<std::string, std::less<>> taken;
  for (const Tensor& tensor : spec.inputs) taken.insert(tensor.name);
  for (const Output& output : spec.outputs) taken.insert(output.name);
  std::vector<int> uses(spec.nodes.size(), 0);
  for (const Node& node : spec.nodes) {
    taken.insert(node.name);
    for (const int operand : {node.a, node.b, node.c})
      if (operand >= 0) ++uses[at(operand)];
  }
  for (const Output& output : spec.outputs) ++uses[at(output.value)];

  std::vector<bool> needs_name(spec.nodes.size());
  std::vector<int> height(spec.nodes.size(), 0);  // of the expression that the text nests
  for (std::size_t i = 0; i < spec.nodes.size(); ++i) {
    const Node& node = spec.nodes[i];
    if (operand_count(node) == 0) continue;
    for (const int operand : {node.a, node.b, node.c}) {
      if (operand < 0) continue;
      if (height[at(operand)] == max_expression_depth) {
        needs_name[at(operand)] = true;
        height[at(operand)] = 0;
      }
      height[i] = std::max(height[i], height[at(operand)] + 1);
    }
    if (node.name.empty() && uses[i] > 1) needs_name[i] = true;
    if (needs_name[i] || !node.name.empty()) height[i] = 0;
  }

  std::map<std::string, int, std::less<>> numbers;  // that operations have given out
  for (std::size_t i = 0; i < spec.nodes.size(); ++i) {
    if (!needs_name[i]) continue;
    Node& node = spec.nodes[i];
    const std::string operation(called_name(node));
    while (node.name.empty()) {
      std::string name = fmt::format("{}_{}", operation, ++numbers[operation]);
      if (is_reserved_name(name) || find_called_operation(name) || !taken.insert(name).second) continue;
      node.name = std::move(name);
    }
  }
}

}  // namespace

char SpecGraph::letter(const Value& value) const {
  if (!value.graph_) return std::holds_alternative<std::int64_t>(value.literal_) ? '?' : 'f';
  const Type type = types[at(value.node_)];
  return type == Type::f32 ? 'f' : type == Type::i32 ? 'i' : 'b';
}

std::string SpecGraph::shown(const Value& value) const {
  if (!value.graph_) {
    const auto* whole = std::get_if<std::int64_t>(&value.literal_);
    return whole ? fmt::format("{}", *whole) : number_text(std::get<double>(value.literal_));
  }
  const Node& of = value.graph_->node(value);
  if (!of.name.empty()) return fmt::format("'{}'", of.name);
  if (of.op == Op::constant) return number_text(of.value);
  if (of.op == Op::integer) return fmt::format("{}i", of.integer);
  return of.op == Op::index ? "index" : fmt::format("{}(...)", called_name(of));
}

void SpecGraph::check_owner(std::string_view what, const Value& value) const {
  if (!value.graph_) return;
  if (value.graph_.get() != this)
    throw UsageError(
        fmt::format("SpecBuilder of '{}': {}: {} belongs to another builder, that of '{}'; values of one "
                    "builder go together",
                    spec.op, what, shown(value), value.graph_->spec.op));
  if (builder_is_gone)
    throw UsageError(
        fmt::format("SpecBuilder of '{}': {}: {} is of this builder, which is gone; it has to outlive what "
                    "is made of its values",
                    spec.op, what, shown(value)));
}

/// The node of an operand of the type f or i: a literal becomes one.
int SpecGraph::operand(const Value& value, char type, std::string_view operation) {
  if (value.graph_) return value.node_;
  if (type == 'f') {
    const double number =
        std::visit([](auto literal) { return static_cast<double>(literal); }, value.literal_);
    return append({.op = Op::constant, .value = number}, Type::f32);
  }
  const std::int64_t whole = std::get<std::int64_t>(value.literal_);
  if (!std::in_range<std::int32_t>(whole))
    throw UsageError(
        fmt::format("SpecBuilder: {} takes an integer here, and {} is none of 32 bits", operation, whole));
  return append({.op = Op::integer, .integer = static_cast<std::int32_t>(whole)}, Type::i32);
}

Value SpecGraph::apply(const std::shared_ptr<SpecGraph>& self, std::string_view name,
                       std::span<const Value> operands) {
  for (const Value& value : operands) check_owner(name, value);
  std::optional<CalledOperation> operation = find_called_operation(name);
  if (!operation)
    throw UsageError(
        fmt::format("SpecBuilder: no operation is called '{}'; known: {}", name, called_names()));
  const bool element = operation->node.op == Op::element;
  std::string what(name);
  if (operands.size() != operation->operands() + (element ? 1 : 0))
    throw UsageError(fmt::format("SpecBuilder: {} takes {} operands, passed are {}", name,
                                 operation->operands() + (element ? 1 : 0), operands.size()));
  if (element) {
    const Value& tensor = operands.front();
    if (!tensor.graph_ || node(tensor).op != Op::input)
      throw UsageError(fmt::format("SpecBuilder: at takes an input and a place in its row; {} is no input",
                                   shown(tensor)));
    operation->node.tensor = node(tensor).tensor;
    what += " of " + shown(tensor);
    operands = operands.subspan(1);
  }

  std::vector<std::string> fitting;
  for (const std::string& form : operation->forms) {
    bool fits = true;
    for (std::size_t i = 0; i < operands.size(); ++i) {
      const char given = letter(operands[i]);
      fits = fits && (given == form[i] || (given == '?' && form[i] != 'b'));
    }
    if (fits) fitting.push_back(form);
  }
  if (fitting.size() != 1) {
    std::string given;
    for (const Value& value : operands)
      given += fmt::format("{}{} {}", given.empty() ? "" : ", ", type_name(letter(value)), shown(value));
    throw UsageError(fmt::format(
        "SpecBuilder: {} takes {}, passed is ({}){}", what, allowed_types(operation->forms), given,
        fitting.empty() ? "" : ": a whole number could be either here, 1.0f or integer(1) says which"));
  }
  const std::array places{&operation->node.a, &operation->node.b, &operation->node.c};
  for (std::size_t i = 0; i < operands.size(); ++i)
    *places[i] = operand(operands[i], fitting.front()[i], what);
  const char result = fitting.front().back();
  return {self, append(operation->node, result == 'f'   ? Type::f32
                                        : result == 'i' ? Type::i32
                                                        : Type::boolean)};
}

Value::Value(Literal literal) : literal_(literal) {
  if (std::visit([](auto number) { return number != number; }, literal))
    throw UsageError("SpecBuilder: NaN is no literal; 0 / 0 of constants gives one");
}

std::int64_t Value::in_range(bool fits, std::int64_t number) {
  if (!fits) throw UsageError("SpecBuilder: a whole number above 9223372036854775807 is no literal");
  return number;
}

Value Value::apply(std::string_view operation, std::initializer_list<Value> operands) {
  for (const Value& value : operands)
    if (value.graph_) return value.graph_->apply(value.graph_, operation, operands);
  throw UsageError(fmt::format(
      "SpecBuilder: {} of literals alone: SpecBuilder::constant and integer make values of them", operation));
}

Value Value::named(std::string_view name) const {
  if (!graph_)
    throw UsageError(fmt::format(
        "SpecBuilder: \"{}\" would name a literal: SpecBuilder::constant and integer make values of them",
        name));
  graph_->check_owner("named", *this);
  check_form("a value's name", name);
  Node& node = graph_->spec.nodes[at(node_)];
  if (!node.name.empty())
    throw UsageError(fmt::format("SpecBuilder: '{}' has a name and takes no other, '{}'", node.name, name));
  node.name = name;
  graph_->named.push_back(node_);
  return *this;
}

SpecBuilder::SpecBuilder(std::string_view name, std::int64_t n) : graph_(std::make_shared<SpecGraph>()) {
  check_form("the operator's name", name);
  graph_->spec.op = name;
  graph_->spec.n = n;
}

SpecBuilder::~SpecBuilder() {
  if (graph_) graph_->builder_is_gone = true;
}

SpecGraph& SpecBuilder::graph() const {
  if (!graph_)
    throw UsageError("SpecBuilder: this one was moved from; the one that it was moved to has its values");
  return *graph_;
}

Value SpecBuilder::append(Node node, Type type) {
  const int index = graph().append(std::move(node), type);
  return {graph_, index};
}

Value SpecBuilder::input(const Tensor& tensor) {
  check_form("a tensor's name", tensor.name);
  std::vector<Tensor>& inputs = graph().spec.inputs;
  inputs.push_back(tensor);
  const Type type = tensor.dtype == DType::i32 ? Type::i32 : Type::f32;
  return append({.op = Op::input, .tensor = static_cast<int>(inputs.size()) - 1, .name = tensor.name}, type);
}

Value SpecBuilder::row(std::string_view name, DType dtype, int groups) {
  return input({std::string(name), dtype, Extent::row, groups});
}
Value SpecBuilder::column(std::string_view name, DType dtype, int groups) {
  return input({std::string(name), dtype, Extent::column, groups});
}
Value SpecBuilder::token(std::string_view name, DType dtype) {
  return input({std::string(name), dtype, Extent::token});
}
Value SpecBuilder::scalar(std::string_view name, DType dtype) {
  return input({std::string(name), dtype, Extent::scalar});
}

Value SpecBuilder::n() {
  return append({.op = Op::constant, .value = static_cast<double>(graph().spec.n)}, Type::f32);
}
Value SpecBuilder::index() { return append({.op = Op::index}, Type::i32); }
Value SpecBuilder::integer(std::int32_t number) {
  return append({.op = Op::integer, .integer = number}, Type::i32);
}

Value SpecBuilder::constant(const Value& literal) {
  if (literal.graph_)
    throw UsageError(
        fmt::format("SpecBuilder: constant takes a literal, {} is a value already", graph().shown(literal)));
  const int node = graph().operand(literal, 'f', "constant");
  return {graph_, node};
}

Value SpecBuilder::call(std::string_view operation, const std::vector<Value>& operands) {
  return graph().apply(graph_, operation, operands);
}

void SpecBuilder::output(std::string_view name, DType dtype, const Value& value, int groups) {
  check_form("an output's name", name);
  if (!value.graph_)
    throw UsageError(fmt::format("SpecBuilder: output '{}' is the literal {}, allowed is a value", name,
                                 graph().shown(value)));
  graph().check_owner(fmt::format("output '{}'", name), value);
  graph().spec.outputs.push_back(
      {.name = std::string(name), .dtype = dtype, .value = value.node_, .groups = groups});
}

std::string SpecBuilder::text() const {
  Spec spec = needed_and_ordered(graph());
  if (!is_wide(spec)) make_binary32(spec);
  name_shared_values(spec);
  return isofold::text(spec);
}

Spec SpecBuilder::build() const {
  const Spec& spec = graph().spec;
  if (spec.inputs.empty())
    throw UsageError(fmt::format("SpecBuilder: '{}' has no input, it needs one of extent row", spec.op));
  if (spec.outputs.empty())
    throw UsageError(fmt::format("SpecBuilder: '{}' has no output, it needs one", spec.op));
  const std::string written = text();
  try {
    return parse_spec(written);
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("SpecBuilder of '{}': {}", spec.op, error.what()));
  }
}

}  // namespace isofold
