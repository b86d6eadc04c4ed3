#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "console.hpp"
#include "operator_options.hpp"
#include "target.hpp"

namespace isofold::tools {

/// One point of the chart: an operator over a token count on a target, and the plan it runs there.
struct Inspection {
  const Console& console;
  Target& target;
  Problem problem;
  ChosenPlan chosen;
  std::int64_t tokens;

  const Plan& plan() const { return chosen.plan; }
};

/// What the plan is and how it is launched, (name, text).
std::vector<std::pair<std::string, std::string>> plan_facts(const Inspection& in);

/// Why the schedule is used: who chose it, and what it was chosen among.
struct Choosing {
  std::string sentence;
  bool measured = false;  // times were measured; else they are the cost model's estimates
  std::int64_t tokens = 0;  // that the times are of
  std::vector<std::pair<std::string, double>> times;  // schedule and microseconds, the chosen one first
};
Choosing choosing_of(const Inspection& in);

/// "6.0 KiB moved at least ..., 2.1 us for a copy of as much".
struct MemoryNeed {
  std::int64_t bytes = 0;
  std::optional<double> microseconds;  // of a copy of as many bytes; nothing where the device is not here
  std::string words;
};
MemoryNeed memory_need(const Inspection& in);

/// SASS of a cubin. Throws UsageError that says how to get a disassembler where there is none.
std::string disassembled(const std::string& cubin);

/// The whole of it as a page.
std::string inspection_page(const Inspection& in);

}  // namespace isofold::tools
