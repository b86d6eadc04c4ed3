#pragma once
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "verifier.hpp"

namespace isofold::tools {

/// A schedule that the compiler or the device did not take.
struct RefusedSchedule {
  std::string schedule, why;
  std::vector<std::int64_t> tokens;  // over which it was to run
};

/// What one part of a verification did.
struct VerifyPart {
  std::string name;
  bool as_launched = false;   // the operator chose, over tensors as they are mostly, without a workspace
  std::uint64_t planned = 0;  // launches of what was not refused; all of them were made unless it was interrupted
  VerifyCounts counts = {};
  std::map<std::pair<std::string, std::int64_t>, VerifyCounts> launched = {};  // the same by schedule and token count
  std::vector<RefusedSchedule> refused = {};
  /// What could not run has not been compared.
  bool passed() const { return counts.passed() && refused.empty(); }
};

/// Rows of a pool for the oracle: of every nature several times; of very long ones once.
std::int64_t pool_rows(const Spec& spec);

/// One problem on one device. Not thread-safe.
class Verification {
 public:
  Verification(const Console& console, const VerifyArguments& options, const Runtime& runtime,
               const Problem& problem, std::shared_ptr<const RowPool> pool, Progress& progress);

  /// What the options ask for.
  std::vector<VerifyPart> run();

  /// Every schedule at every alignment class, with names that begin with `prefix`.
  const std::vector<VerifyPart>& check_every_schedule(const std::string& prefix, std::int64_t most_tokens);

 private:
  Plan plan_given() const;
  std::vector<std::int64_t> with_boundaries(std::vector<std::int64_t> tokens, const Operator& op) const;
  void keep_bundled(const std::vector<std::int64_t>& asked, const Operator& op,
                    std::initializer_list<std::vector<std::int64_t>*> lists) const;
  void check_operator(const std::string& name, Operator& op, const std::vector<std::int64_t>& tokens,
                      Placement placement, std::size_t workspace_bytes);
  void check_all_schedules(const std::string& prefix, std::int64_t vector_limit, std::int64_t most_tokens);
  void check_schedules(const std::string& name, const std::vector<Plan>& plans, Placement placement,
                       const std::vector<std::int64_t>& tokens, bool may_be_refused);
  std::shared_ptr<const Kernel> kernel_or_refusal(const Plan& plan, const std::vector<std::int64_t>& tokens,
                                                  VerifyPart& part) const;

  const Console& console_;
  const VerifyArguments& options_;
  const Runtime& runtime_;
  const Problem& problem_;
  std::shared_ptr<const RowPool> pool_;
  Progress& progress_;
  std::uint64_t seed_;
  std::set<std::string> seen_;
  std::vector<VerifyPart> parts_;
};

}  // namespace isofold::tools
