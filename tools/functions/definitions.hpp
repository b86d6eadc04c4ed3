// Reads the function definitions of functions.txt into straight-line programs of exact operations.
//
//   name(x) { t = fma(x, 2, 1); mul(t, t) }
//
// Every operation gives one value of type f32, i32 or bool. A call of an earlier definition is inlined.
#pragma once

#include <bit>
#include <charconv>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace functions {

enum class Type { f32, i32, boolean };

// One value: an operation on earlier values, or a leaf ("input", "literal" with its pattern in `pattern`).
struct Value {
  std::string op;
  Type type = Type::f32;
  std::vector<int> arguments = {};
  std::uint32_t pattern = 0;  // of a literal; the distance of a shift
};

struct Program {
  std::string name;
  std::vector<Value> values;  // an operation comes after its arguments
  int result = 0;
};

// The number of operations that a GPU executes as an instruction: bits and from_bits are another reading of
// the same register, neg and abs are modifiers of an operand.
inline int instructions(const Program& program) {
  int count = 0;
  for (const Value& value : program.values) {
    const std::string& op = value.op;
    count +=
        op != "input" && op != "literal" && op != "bits" && op != "from_bits" && op != "neg" && op != "abs";
  }
  return count;
}

class Parser {
 public:
  explicit Parser(std::string text) : text_(std::move(text)) {}

  // All definitions, in the order of the text. Throws std::runtime_error with the line of the mistake.
  std::vector<Program> definitions() {
    std::vector<Program> programs;
    for (skip_space(); at_ < text_.size(); skip_space()) {
      programs.push_back(definition());
      earlier_[programs.back().name] = programs.back();
    }
    return programs;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    std::size_t line = 1;
    for (std::size_t i = 0; i < at_ && i < text_.size(); ++i) line += text_[i] == '\n';
    throw std::runtime_error("line " + std::to_string(line) + ": " + what);
  }

  void skip_space() {
    while (at_ < text_.size()) {
      if (text_[at_] == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (std::string(" \t\r\n").find(text_[at_]) != std::string::npos) {
        ++at_;
      } else {
        return;
      }
    }
  }

  bool accept(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void expect(char c) {
    if (!accept(c)) fail(std::string("'") + c + "' expected");
  }

  static bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  }

  std::string name() {
    skip_space();
    const std::size_t first = at_;
    while (at_ < text_.size() && is_name_character(text_[at_])) ++at_;
    if (first == at_ || text_[first] < 'a') fail("a name expected");
    return text_.substr(first, at_ - first);
  }

  Program definition() {
    program_ = Program{};
    names_.clear();
    program_.name = name();
    if (earlier_.contains(program_.name)) fail("'" + program_.name + "' is defined twice");
    expect('(');
    define(name(), add({.op = "input"}));
    expect(')');
    expect('{');
    for (;;) {
      skip_space();
      const std::size_t start = at_;
      if (at_ < text_.size() && text_[at_] >= 'a' && text_[at_] <= 'z') {
        const std::string target = name();
        if (accept('=')) {
          const int value = expression();
          expect(';');
          define(target, value);
          continue;
        }
      }
      at_ = start;
      program_.result = expression();
      expect('}');
      if (type(program_.result) != Type::f32) fail("the result is not f32");
      return program_;
    }
  }

  void define(const std::string& target, int value) {
    if (!names_.emplace(target, value).second) fail("'" + target + "' is defined twice");
  }

  int add(Value value) {
    program_.values.push_back(std::move(value));
    return static_cast<int>(program_.values.size()) - 1;
  }

  Type type(int value) const { return program_.values[value].type; }

  int expression() {
    skip_space();
    if (at_ >= text_.size()) fail("an expression expected");
    const char c = text_[at_];
    if (c == '-' || (c >= '0' && c <= '9')) return literal();
    const std::string word = name();
    if (!accept('(')) {
      const auto found = names_.find(word);
      if (found == names_.end()) fail("'" + word + "' is not defined");
      return found->second;
    }
    std::vector<int> arguments;
    do {
      arguments.push_back(expression());
    } while (accept(','));
    expect(')');
    const auto callee = earlier_.find(word);
    return callee == earlier_.end() ? operation(word, std::move(arguments))
                                    : inlined(callee->second, arguments);
  }

  // A literal must be written as std::to_chars prints its value, so that one value has one text.
  int literal() {
    const std::size_t first = at_;
    while (at_ < text_.size() && std::string("+-.0123456789e").find(text_[at_]) != std::string::npos) ++at_;
    const std::string digits = text_.substr(first, at_ - first);
    char printed[64];
    if (at_ < text_.size() && text_[at_] == 'i') {
      ++at_;
      std::int32_t value = 0;
      std::from_chars(digits.data(), digits.data() + digits.size(), value);
      if (std::string(printed, std::to_chars(printed, printed + 64, value).ptr) != digits)
        fail("bad i32 " + digits);
      return add({.op = "literal", .type = Type::i32, .pattern = static_cast<std::uint32_t>(value)});
    }
    float value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const std::string shortest(printed, std::to_chars(printed, printed + 64, value).ptr);
    if (shortest != digits) fail("the literal " + digits + " is " + shortest);
    return add({.op = "literal", .pattern = std::bit_cast<std::uint32_t>(value)});
  }

  int inlined(const Program& callee, const std::vector<int>& arguments) {
    if (arguments.size() != 1 || type(arguments[0]) != Type::f32) fail(callee.name + " takes one f32");
    std::vector<int> moved;
    for (const Value& value : callee.values) {
      if (value.op == "input") {
        moved.push_back(arguments[0]);
        continue;
      }
      Value copy = value;
      for (int& argument : copy.arguments) argument = moved[argument];
      moved.push_back(add(std::move(copy)));
    }
    return moved[callee.result];
  }

  int operation(const std::string& op, std::vector<int> arguments) {
    std::string types;  // "fi": an f32 and an i32
    for (int argument : arguments) types += "fib"[static_cast<int>(type(argument))];
    const auto among = [&](std::string_view list) {
      return list.substr(0, list.find(' ')) == types || list.substr(list.find(' ') + 1) == types;
    };
    Value value{.op = op, .type = type(arguments[0]), .arguments = arguments};
    bool known = true;
    if (op == "add" || op == "sub" || op == "mul") {
      known = among("ff ii");
    } else if (op == "div" || op == "min" || op == "max") {
      known = among("ff");
    } else if (op == "fma") {
      known = among("fff");
    } else if (op == "sqrt" || op == "neg" || op == "abs") {
      known = among("f");
    } else if (op == "less" || op == "less_equal" || op == "equal") {
      known = among("ff ii");
      value.type = Type::boolean;
    } else if (op == "where") {
      known = among("bff bii");
      if (known) value.type = type(arguments[1]);
    } else if (op == "bits") {
      known = among("f");
      value.type = Type::i32;
    } else if (op == "from_bits" || op == "from_int") {
      known = among("i");
      value.type = Type::f32;
    } else if (op == "and" || op == "or") {
      known = among("ii");
    } else if (op == "shift_left" || op == "shift_right") {
      known = among("ii") && program_.values[arguments[1]].op == "literal";
      if (known) value.pattern = program_.values[arguments[1]].pattern;
      if (value.pattern > 31) fail("a shift is 0i to 31i");
      if (known) value.arguments.pop_back();
    } else {
      known = false;
    }
    if (!known) fail("no operation " + op + " of (" + types + ")");
    return add(std::move(value));
  }

  std::string text_;
  std::size_t at_ = 0;
  Program program_;
  std::map<std::string, int> names_;
  std::map<std::string, Program> earlier_;
};

}  // namespace functions
