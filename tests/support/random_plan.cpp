#include "support/random_plan.hpp"

#include <isofold/codegen/functions.hpp>

#include <fmt/format.h>

#include <bit>
#include <string_view>
#include <vector>

namespace isofold::testing {
namespace {

constexpr std::string_view dtypes[] = {"f32", "bf16", "f16"};
constexpr std::string_view input_dtypes[] = {"f32", "bf16", "f16", "e4m3", "i8"};
constexpr std::string_view literals[] = {"1", "-1", "0.5", "1e-06", "N", "3", "-0", "0", "1e20", "0.1"};

/// Writes expressions over the names that are defined so far.
class SpecWriter {
 public:
  SpecWriter(const Choose& choose, std::int64_t longest) : choose_(choose) {
    n_ = 1 + static_cast<std::int64_t>(choose_(static_cast<std::uint64_t>(longest)));
  }

  std::string write() {
    std::string inputs = fmt::format("x: {}[row{}]", input_dtype(), choose_(8) == 0 ? " 3" : "");
    names_.push_back("x");
    static constexpr std::string_view more[] = {"other", "weight"};
    for (const std::string_view name : more) {
      if (choose_(3) == 0) continue;
      inputs += fmt::format(", {}: {}[{}]", name, input_dtype(), column());
      names_.emplace_back(name);
    }
    if (choose_(2) == 0) {
      inputs += fmt::format(", number: {}[{}]", input_dtype(), choose_(3) == 0 ? "scalar" : "token");
      names_.emplace_back("number");
    }
    const bool masked = choose_(3) == 0;
    if (masked) inputs += ", length: i32[token]";
    std::string body;
    const bool apart = masked && choose_(2) == 0;  // an input that nothing else uses
    if (apart) inputs += fmt::format(", hidden: {}[row]", input_dtype());
    if (masked) body += definition("masked", fmt::format("where(less(index, length), {}, {})", apart ? "hidden" : "x", choose_(2) == 0 ? "-inf" : "0.5"));
    for (int i = static_cast<int>(choose_(3)); i > 0; --i) body += definition("before", expression(3));
    if (choose_(6) == 0) body += definition("chosen", fmt::format("add(at(x, {}), 1)", masked ? "length" : "3i"));
    // Most have one sum; a later one may use those before it.
    const int sums = choose_(3) == 0 ? static_cast<int>(choose_(max_passes + 1)) : 1;
    for (int sum = 0; sum < sums; ++sum) {
      const std::string summand = choose_(2) == 0 ? fmt::format("mul(x, {})", expression(2)) : varying(3);
      static constexpr std::string_view extremes[] = {"reduce_max", "reduce_min"};
      const std::string_view kind = choose_(3) == 0 ? extremes[choose_(2)] : "sum";
      body += definition("total", fmt::format("{}({})", kind, choose_(4) == 0 ? "mul(x, x)" : summand));
      for (int i = static_cast<int>(choose_(3)); i > 0; --i) body += definition("after", expression(3));
    }
    const int outputs = 1 + static_cast<int>(choose_(3));
    std::string first = varying(3);
    for (const std::string& name : names_)
      first = fmt::format("add({}, {})", first, name);  // everything is used
    for (int i = 0; i < outputs; ++i)
      body += fmt::format("{}out_{}: {}{} = {}", i ? "; " : "", i, output_dtype(), choose_(6) == 0 ? "[row 3]" : "", i == 0 ? first : varying(3));
    for (const std::string& name : names_)  // of the reductions, one number per token
      if (name.starts_with("total") && choose_(3) == 0) body += fmt::format("; of_{}: {} = {}", name, dtype(), name);
    return fmt::format("random N={} ({}) {{ {} }}", n_, inputs, body);
  }

 private:
  std::string_view dtype() { return dtypes[choose_(3)]; }
  std::string_view output_dtype() { return choose_(6) == 0 ? input_dtypes[3 + choose_(2)] : dtype(); }
  std::string_view input_dtype() { return input_dtypes[choose_(4) == 0 ? choose_(5) : choose_(3)]; }
  std::string_view column() {
    static constexpr std::string_view extents[] = {"row", "row", "column", "row 3", "column 3"};
    return extents[choose_(5)];
  }

  std::string definition(std::string_view kind, const std::string& value) {
    // A name for a name is refused.
    const bool plain = value.find('(') == std::string::npos;
    const std::string name = fmt::format("{}_{}", kind, names_.size());
    names_.push_back(name);
    return fmt::format("{} = {}; ", name, plain ? fmt::format("add({}, x)", value) : value);
  }

  /// An expression that varies along the row.
  std::string varying(int depth) {
    switch (choose_(5)) {
      case 0:
        return fmt::format("add(x, {})", expression(depth - 1));
      case 1:
        return fmt::format("mul({}, x)", expression(depth - 1));
      case 2:
        return fmt::format("fma({}, x, {})", expression(depth - 1), expression(depth - 1));
      case 3:
        return fmt::format("div({}, {}(x))", expression(depth - 1), dtype());
      default:
        return "x";
    }
  }

  std::string expression(int depth) {
    if (depth == 0 || choose_(4) == 0)
      return choose_(3) == 0 ? std::string(literals[choose_(std::size(literals))])
                             : names_[choose_(names_.size())];
    const auto operand = [&] { return expression(depth - 1); };
    switch (choose_(15)) {
      case 12:
        return fmt::format("where(or(equal({}, {}), less_equal(index, {}i)), {}, {})", operand(), operand(), choose_(40), operand(), operand());
      case 13:
        return fmt::format("from_int({}({}(bits({}), {}i), mul(index, {}i)))", choose_(2) == 0 ? "add" : "sub",
                           choose_(2) == 0 ? "shift_left" : "shift_right", operand(), choose_(32), choose_(100000));
      case 14:
        return fmt::format("from_bits(or(bits({}), {}i))", operand(), choose_(1 << 20));
      case 6:
        return fmt::format("sub({}, {})", operand(), operand());
      case 7:
        return fmt::format("max({}, {})", operand(), operand());
      case 8:
        return fmt::format("min({}, neg({}))", operand(), operand());
      case 9:
        return fmt::format("where(less({}, {}), abs({}), {})", operand(), operand(), operand(), operand());
      case 10:
        return fmt::format("from_bits(and(bits({}), bits({})))", operand(), operand());
      case 11:
        return fmt::format("{}({})", functions()[choose_(functions().size())].name, operand());
      case 0:
        return fmt::format("add({}, {})", operand(), operand());
      case 1:
        return fmt::format("mul({}, {})", operand(), operand());
      case 2:
        return fmt::format("fma({}, {}, {})", operand(), operand(), operand());
      case 3:
        return fmt::format("div({}, {})", operand(), operand());
      case 4:
        return fmt::format("sqrt({})", operand());
      default:
        return fmt::format("{}({})", dtype(), operand());
    }
  }

  const Choose& choose_;
  std::int64_t n_ = 1;
  std::vector<std::string> names_;
};

int power_of_two(const Choose& choose, int most) {
  return 1 << choose(static_cast<std::uint64_t>(std::bit_width(static_cast<unsigned>(most))));
}

}  // namespace

std::string random_spec_text(const Choose& choose, std::int64_t longest) {
  return SpecWriter(choose, longest).write();
}

Fold random_fold(const Choose& choose, int most) {
  return {power_of_two(choose, 16), power_of_two(choose, most), power_of_two(choose, most)};
}

GpuSchedule random_gpu_schedule(const Choose& choose) {
  GpuSchedule schedule;
  schedule.threads_per_row = power_of_two(choose, 1024);
  schedule.rows_per_block = power_of_two(choose, 1024 / schedule.threads_per_row);
  schedule.split = static_cast<Split>(choose(3));
  if (schedule.split != Split::none) {
    schedule.blocks_per_row = 2 * power_of_two(choose, schedule.split == Split::workspace ? 64 : 8);
    schedule.rows_per_block = 1;
  }
  schedule.staging = static_cast<Staging>(choose(3));
  schedule.vector = power_of_two(choose, 16);
  schedule.early_weights = choose(2) == 1;
  schedule.streaming = choose(2) == 1;
  schedule.dependent_launch = choose(2) == 1;
  schedule.resident_blocks = 1 + static_cast<int>(choose(4));
  if (schedule.staging == Staging::registers && choose(16) == 0) schedule.shared_calls = 1 + static_cast<int>(choose(4));
  return schedule;
}

}  // namespace isofold::testing
