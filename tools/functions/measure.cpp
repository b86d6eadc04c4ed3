// Measures functions.txt: every definition at all 2^32 float inputs against a double reference.
//
//   measure functions.txt            all functions
//   measure functions.txt exp log    only these
//
// Prints per function the number of instructions, the largest error in ulps (the spacing of floats at the
// true value, 2^-149 below 2^-126) and its input, the share of results that are not the nearest float, and
// fails (exit 1) when an error is above 1 ulp, or a NaN, an infinity or the sign of a zero differs.
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <limits>

#include "machine.hpp"

namespace {

using functions::Machine;
using functions::Program;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// The true functions, in double. erf and gelu go through erfc where 1 + erf would cancel.
struct Reference {
  const char* name;
  double (*value)(double);
  double first = -std::numeric_limits<double>::infinity();  // the domain that the definition promises
  double last = std::numeric_limits<double>::infinity();
};

const Reference references[] = {
    {"exp", [](double x) { return std::exp(x); }},
    {"exp_nonpositive", [](double x) { return std::exp(x); }, -std::numeric_limits<double>::infinity(), 71},
    {"log", [](double x) { return std::log(x); }},
    {"sigmoid", sigmoid},
    {"rsqrt", [](double x) { return 1 / std::sqrt(x); }},
    {"silu", [](double x) { return x / (1 + std::exp(-x)); }},
    {"tanh", [](double x) { return std::tanh(x); }},
    {"erf", [](double x) { return std::erf(x); }},
    {"gelu", [](double x) { return x * 0.5 * std::erfc(-x * 0.70710678118654752440); }},
    {"gelu_tanh", [](double x) { return x * sigmoid(1.5957691216057307117 * (x + 0.044715 * (x * x * x))); }},
};

struct Worst {
  double error = 0;
  float input = 0;
  float result = 0;
  double truth = 0;
};

struct Tally {
  Worst worst;
  std::uint64_t inputs = 0;
  std::uint64_t not_nearest = 0;
  std::uint64_t special = 0;  // NaN, infinity or sign of zero differs
  float special_input = 0;
};

// Distance in ulps. Infinity counts as 2^128, where the next float would be; a NaN as no distance.
double ulps(float result, double truth) {
  constexpr double top = 0x1p128;
  double r = result;
  r = r > top ? top : r;
  r = r < -top ? -top : r;
  double t = truth > top ? top : truth;
  t = t < -top ? -top : t;
  auto exponent = static_cast<std::int64_t>(std::bit_cast<std::uint64_t>(t) & 0x7ff0000000000000u);
  exponent = exponent < (std::int64_t{1023 - 126} << 52) ? std::int64_t{1023 - 126} << 52 : exponent;
  exponent = exponent > (std::int64_t{1023 + 127} << 52) ? std::int64_t{1023 + 127} << 52 : exponent;
  const double error =
      std::fabs(r - t) * std::bit_cast<double>((std::int64_t{2 * 1023 + 23} << 52) - exponent);
  return error != error ? 0 : error;
}

bool special_differs(float result, double truth) {
  const bool nan = (result != result) != (truth != truth);
  const bool infinite = std::isinf(truth) && static_cast<double>(result) != truth;
  const bool sign = result == 0 && std::signbit(result) != std::signbit(truth);
  return nan | infinite | sign;
}

void tally_block(const float* input, const float* result, const double* truth, Tally& tally) {
  std::int64_t largest = 0;  // errors are not negative: they compare like their patterns
  std::int64_t not_nearest = 0;
  for (int i = 0; i < Machine::block; ++i) {
    const double error = ulps(result[i], truth[i]);
    const auto pattern = std::bit_cast<std::int64_t>(error);
    largest = pattern > largest ? pattern : largest;
    not_nearest += pattern > std::bit_cast<std::int64_t>(0.5) ? 1 : 0;
  }
  int special = 0;
  for (int i = 0; i < Machine::block; ++i) special += special_differs(result[i], truth[i]) ? 1 : 0;
  tally.inputs += Machine::block;
  tally.not_nearest += not_nearest;
  for (int i = 0; special > 0 && i < Machine::block; ++i) {
    if (!special_differs(result[i], truth[i])) continue;
    if (tally.special++ == 0) tally.special_input = input[i];
  }
  if (std::bit_cast<double>(largest) <= tally.worst.error) return;
  for (int i = 0; i < Machine::block; ++i) {
    const double error = ulps(result[i], truth[i]);
    if (error > tally.worst.error) tally.worst = {error, input[i], result[i], truth[i]};
  }
}

// Every float pattern, or those from `first` to `last` of the promised domain, in blocks of neighbours.
Tally measure(const Program& program, const Reference& reference) {
  Machine machine(program);
  Tally tally;
  std::vector<float> input(Machine::block);
  std::vector<double> truth(Machine::block);
  for (std::uint64_t start = 0; start < std::uint64_t{1} << 32; start += Machine::block) {
    for (int i = 0; i < Machine::block; ++i) {
      float x = std::bit_cast<float>(static_cast<std::uint32_t>(start + i));
      if (x < reference.first || x > reference.last) x = static_cast<float>(reference.last);
      input[i] = x;
      truth[i] = reference.value(x);
    }
    std::copy(input.begin(), input.end(), machine.input());
    machine.run();
    tally_block(input.data(), machine.output(), truth.data(), tally);
  }
  return tally;
}

void print_special_values(const Program& program, const Reference& reference) {
  Machine machine(program);
  const float infinity = std::numeric_limits<float>::infinity();
  const float list[] = {0.0f,      -0.0f,     infinity, -infinity, std::numeric_limits<float>::quiet_NaN(),
                        0x1p-149f, -0x1p-149f};
  std::fill(machine.input(), machine.input() + Machine::block, 0.0f);
  std::copy(std::begin(list), std::end(list), machine.input());
  machine.run();
  std::printf("  ");
  for (int i = 0; i < 7; ++i) {
    if (list[i] < reference.first || list[i] > reference.last) continue;
    const float result = machine.output()[i];
    std::printf(" (%g) %g", list[i], std::isnan(result) ? std::fabs(result) : result);
  }
  std::printf("\n");
}

bool report(const Program& program, const Reference& reference) {
  const Tally tally = measure(program, reference);
  std::printf(
      "%s: %d instructions, worst error %.4f ulp at %.9g (%a): %.9g, true %.12g; %.3f %% not nearest\n",
      program.name.c_str(), instructions(program), tally.worst.error, tally.worst.input, tally.worst.input,
      tally.worst.result, tally.worst.truth,
      100.0 * static_cast<double>(tally.not_nearest) / static_cast<double>(tally.inputs));
  print_special_values(program, reference);
  if (tally.special > 0) {
    std::printf("   NaN, infinity or sign of zero differs at %llu inputs, first %.9g\n",
                static_cast<unsigned long long>(tally.special), tally.special_input);
  }
  std::fflush(stdout);
  return tally.worst.error <= 1 && tally.special == 0;
}

bool is_wanted(const std::string& name, int count, char** names) {
  for (int i = 0; i < count; ++i) {
    if (name == names[i]) return true;
  }
  return count == 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::fprintf(stderr, "usage: measure functions.txt [name ...]\n");
    return 2;
  }
  try {
    std::ifstream file(arguments[1]);
    if (!file) throw std::runtime_error("cannot be read");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    bool right = true;
    for (const Program& program : functions::Parser(text).definitions()) {
      if (!is_wanted(program.name, count - 2, arguments + 2)) continue;
      bool found = false;
      for (const Reference& reference : references) {
        if (program.name != reference.name) continue;
        found = true;
        right = report(program, reference) && right;
      }
      if (!found) throw std::runtime_error(program.name + " has no reference");
    }
    return right ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", arguments[1], error.what());
    return 2;
  }
}
