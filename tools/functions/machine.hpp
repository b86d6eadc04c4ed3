// Runs a straight-line program on blocks of inputs, one operation at a time, so that the compiler turns each
// operation into a vector loop. Build with -ffp-contract=off.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "definitions.hpp"

namespace functions {

class Machine {
 public:
  static constexpr int block = 1024;

  explicit Machine(const Program& program) : program_(program) {
    const int count = static_cast<int>(program.values.size());
    std::vector<int> last_use(count, 0);
    for (int i = 0; i < count; ++i) {
      for (int argument : program.values[i].arguments) last_use[argument] = i;
    }
    last_use[program.result] = count;
    std::vector<int> free;
    std::vector<int> place(count);
    for (int i = 0; i < count; ++i) {
      const Value& value = program.values[i];
      if (free.empty() || value.op == "literal") {
        place[i] = static_cast<int>(registers_.size());
        registers_.emplace_back(block, value.pattern);
      } else {
        place[i] = free.back();
        free.pop_back();
      }
      if (value.op == "input") input_ = place[i];
      if (value.op != "input" && value.op != "literal") {
        Step step{.run = find(value), .to = place[i], .shift = static_cast<int>(value.pattern)};
        for (std::size_t k = 0; k < value.arguments.size(); ++k) step.from[k] = place[value.arguments[k]];
        steps_.push_back(step);
      }
      for (int j = 0; j < i; ++j) {
        if (last_use[j] == i && program.values[j].op != "literal") {
          free.push_back(place[j]);
          last_use[j] = -1;
        }
      }
    }
    output_ = place[program.result];
  }

  // `block` inputs, to be written before run(), and the results after it.
  float* input() { return reinterpret_cast<float*>(registers_[input_].data()); }
  const float* output() const { return reinterpret_cast<const float*>(registers_[output_].data()); }

  void run() {
    for (const Step& step : steps_) {
      step.run(registers_[step.to].data(), registers_[step.from[0]].data(), registers_[step.from[1]].data(),
               registers_[step.from[2]].data(), step.shift);
    }
  }

 private:
  using Word = std::uint32_t;
  using Run = void (*)(Word* to, const Word* a, const Word* b, const Word* c, int shift);

  struct Step {
    Run run = nullptr;
    int to = 0;
    int from[3] = {0, 0, 0};
    int shift = 0;
  };

  static float f(Word word) { return std::bit_cast<float>(word); }
  static Word w(float value) { return std::bit_cast<Word>(value); }
  static Word w(bool value) { return value ? ~Word{0} : 0; }
  static std::int32_t i(Word word) { return static_cast<std::int32_t>(word); }
  static bool nan(Word word) { return (word & 0x7fffffffu) > 0x7f800000u; }

  // NaN from either side; of equal values the one whose sign bit is set (min) or clear (max).
  static Word minimum(Word a, Word b) {
    const Word ordered = f(a) < f(b) ? a : f(b) < f(a) ? b : (a | b);
    return nan(a) || nan(b) ? 0x7fffffffu : ordered;
  }
  static Word maximum(Word a, Word b) {
    const Word ordered = f(a) < f(b) ? b : f(b) < f(a) ? a : (a & b);
    return nan(a) || nan(b) ? 0x7fffffffu : ordered;
  }

#define FUNCTIONS_OPERATION(expression)                                 \
  [](Word* to, const Word* pa, const Word* pb, const Word* pc, int n) { \
    for (int k = 0; k < block; ++k) {                                   \
      [[maybe_unused]] const Word a = pa[k], b = pb[k], c = pc[k];      \
      to[k] = (expression);                                             \
    }                                                                   \
    (void)n;                                                            \
  }

  Run find(const Value& value) const {
    const std::string& op = value.op;
    const bool real = program_.values[value.arguments[0]].type == Type::f32;
    if (op == "add" && real) return FUNCTIONS_OPERATION(w(f(a) + f(b)));
    if (op == "sub" && real) return FUNCTIONS_OPERATION(w(f(a) - f(b)));
    if (op == "mul" && real) return FUNCTIONS_OPERATION(w(f(a) * f(b)));
    if (op == "div") return FUNCTIONS_OPERATION(w(f(a) / f(b)));
    if (op == "fma") return FUNCTIONS_OPERATION(w(std::fma(f(a), f(b), f(c))));
    if (op == "sqrt") return FUNCTIONS_OPERATION(w(std::sqrt(f(a))));
    if (op == "neg") return FUNCTIONS_OPERATION(a ^ 0x80000000u);
    if (op == "abs") return FUNCTIONS_OPERATION(a & 0x7fffffffu);
    if (op == "min") return FUNCTIONS_OPERATION(minimum(a, b));
    if (op == "max") return FUNCTIONS_OPERATION(maximum(a, b));
    if (op == "less" && real) return FUNCTIONS_OPERATION(w(f(a) < f(b)));
    if (op == "less_equal" && real) return FUNCTIONS_OPERATION(w(f(a) <= f(b)));
    if (op == "equal" && real) return FUNCTIONS_OPERATION(w(f(a) == f(b)));
    if (op == "less") return FUNCTIONS_OPERATION(w(i(a) < i(b)));
    if (op == "less_equal") return FUNCTIONS_OPERATION(w(i(a) <= i(b)));
    if (op == "equal") return FUNCTIONS_OPERATION(w(a == b));
    if (op == "where") return FUNCTIONS_OPERATION(a != 0 ? b : c);
    if (op == "bits") return FUNCTIONS_OPERATION(nan(a) ? 0x7fffffffu : a);
    if (op == "from_bits") return FUNCTIONS_OPERATION(a);
    if (op == "from_int") return FUNCTIONS_OPERATION(w(static_cast<float>(i(a))));
    if (op == "add") return FUNCTIONS_OPERATION(a + b);
    if (op == "sub") return FUNCTIONS_OPERATION(a - b);
    if (op == "mul") return FUNCTIONS_OPERATION(a * b);
    if (op == "and") return FUNCTIONS_OPERATION(a & b);
    if (op == "or") return FUNCTIONS_OPERATION(a | b);
    if (op == "shift_left") return FUNCTIONS_OPERATION(a << n);
    if (op == "shift_right") return FUNCTIONS_OPERATION(static_cast<Word>(i(a) >> n));
    throw std::runtime_error("the machine has no " + op);
  }
#undef FUNCTIONS_OPERATION

  Program program_;
  std::vector<std::vector<Word>> registers_;
  std::vector<Step> steps_;
  int input_ = 0;
  int output_ = 0;
};

}  // namespace functions
