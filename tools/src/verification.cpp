#include "verification.hpp"

#include <isofold/codegen/candidates.hpp>
#include <isofold/error.hpp>

#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "numbers.hpp"
#include "operator_impl.hpp"
#include "room.hpp"

namespace isofold::tools {
namespace {

/// Token counts at which a schedule or an unusual placement is tried: powers of two, primes and their
/// neighbours.
constexpr std::int64_t sampled_tokens[] = {1, 2, 3, 5, 8, 13, 31, 32, 33, 64, 127, 200, 257};
constexpr std::size_t plans_at_once = 32;
constexpr std::int64_t pool_elements = std::int64_t{1} << 22, most_pool_elements = std::int64_t{1} << 27;

std::vector<std::int64_t> sampled(std::int64_t most) {
  std::vector<std::int64_t> tokens(std::begin(sampled_tokens), std::end(sampled_tokens));
  std::erase_if(tokens, [&](std::int64_t count) { return count > most; });
  return tokens;
}

void add(VerifyPart& part, const Verifier::Checked& checked, std::int64_t tokens) {
  part.counts.add(checked.counts);
  part.launched[{checked.schedule, tokens}].add(checked.counts);
}

}  // namespace

std::int64_t pool_rows(const Spec& spec) {
  const std::int64_t n = std::max<std::int64_t>(spec.n, 1);
  const std::int64_t rows = std::clamp<std::int64_t>(pool_elements / n, 8 * row_natures, 80 * row_natures);
  return in_whole_groups(spec, std::min(rows, std::max(row_natures, most_pool_elements / n)));
}

Verification::Verification(const Console& console, const VerifyArguments& options, const Runtime& runtime,
                           const Problem& problem, std::shared_ptr<const RowPool> pool, Progress& progress)
    : console_(console),
      options_(options),
      runtime_(runtime),
      problem_(problem),
      pool_(std::move(pool)),
      progress_(progress),
      seed_(static_cast<std::uint64_t>(
          parse_whole("--seed", options.seed, 0, std::numeric_limits<std::int64_t>::max()))) {}

std::vector<VerifyPart> Verification::run() {
  const std::vector<std::int64_t> tokens = parse_tokens(options_.tokens);
  if (!options_.schedule.empty()) {
    check_schedules("the schedule given", {plan_given()}, Placement{}, tokens, false);
    return parts_;
  }
  Operator op = runtime_.make_operator(problem_.spec, problem_.fold);
  std::vector<std::int64_t> launched = with_boundaries(tokens, op), off_alignment = sampled(tokens.back());
  keep_bundled(tokens, op, {&launched, &off_alignment});
  check_operator("as launched", op, launched, Placement{}, 0);
  if (const std::size_t bytes = op.workspace_bytes(launched.back()); bytes > 0)
    check_operator("with a workspace", op, launched, Placement{}, bytes);
  for (std::int64_t step = 1; step < problem_.fold.leaf && !off_alignment.empty(); step *= 2)
    check_operator(counted(step, "element") + " off alignment", op, off_alignment, {step, step}, 0);
  if (options_.all_schedules) check_every_schedule("", tokens.back());
  return parts_;
}

const std::vector<VerifyPart>& Verification::check_every_schedule(const std::string& prefix, std::int64_t most_tokens) {
  for (std::int64_t step = problem_.fold.leaf; step >= 1; step /= 2)
    check_all_schedules(prefix, step, most_tokens);
  return parts_;
}

Plan Verification::plan_given() const {
  return make_plan(problem_.spec, problem_.fold, parse_schedule(options_.schedule), runtime_.device()).value();
}

/// Both sides of every boundary too, as far as they fit.
std::vector<std::int64_t> Verification::with_boundaries(std::vector<std::int64_t> tokens, const Operator& op) const {
  const std::int64_t most = most_rows(runtime_, problem_.spec);
  std::size_t skipped = 0;
  for (const std::int64_t boundary : op.boundaries())
    for (const std::int64_t side : {boundary - 1, boundary}) {
      if (side >= 1 && side <= most)
        tokens.push_back(side);
      else
        skipped += side > most;
    }
  if (skipped > 0)
    console_.remark("{} token counts beside boundaries are too many rows for this device's memory", skipped);
  std::sort(tokens.begin(), tokens.end());
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

/// Where nothing may be compiled, only kernels that `asked` launches are certain to be there: other counts are taken away.
void Verification::keep_bundled(const std::vector<std::int64_t>& asked, const Operator& op,
                                std::initializer_list<std::vector<std::int64_t>*> lists) const {
  if (!runtime_.impl()->bundles().required()) return;
  const std::vector<std::int64_t> boundaries = op.boundaries();
  const auto range = [&](std::int64_t count) {
    return std::upper_bound(boundaries.begin(), boundaries.end(), count) - boundaries.begin();
  };
  std::set<std::ptrdiff_t> launched;
  for (const std::int64_t count : asked) launched.insert(range(count));
  std::set<std::int64_t> left_out;
  for (std::vector<std::int64_t>* counts : lists)
    std::erase_if(*counts, [&](std::int64_t count) {
      const bool other = !launched.contains(range(count));
      if (other) left_out.insert(count);
      return other;
    });
  if (!left_out.empty())
    console_.remark("left out, since the token counts asked for launch other kernels and nothing may be compiled here: {} tokens",
                    fmt::join(left_out, ", "));
}

void Verification::check_operator(const std::string& name, Operator& op, const std::vector<std::int64_t>& tokens,
                                  Placement placement, std::size_t workspace_bytes) {
  VerifyPart part{
      .name = name, .as_launched = placement == Placement{} && workspace_bytes == 0, .planned = tokens.size()};
  Verifier verifier(runtime_, pool_, tokens.back(), placement, seed_);
  const WorkBuffer workspace(verifier.queue(), workspace_bytes);
  const LaunchTable& table = op.impl()->table();
  std::size_t done = 0;
  for (const std::int64_t count : tokens) {
    progress_.update("verify", done, tokens.size());
    if (interrupted()) break;
    ++done;
    const auto launch = [&](CUstream_st* stream, auto inputs, auto outputs) {
      op.launch(stream, inputs, outputs, count, {workspace.data(), workspace_bytes});
      Parameters parameters;
      op.impl()->layout().bind(inputs, outputs, count, parameters);
      return text(table.plan(table.choice(count, workspace_bytes), parameters.alignment_class).schedule());
    };
    add(part, verifier.check(launch, count), count);
  }
  progress_.update("verify", done, tokens.size());
  progress_.clear();
  parts_.push_back(std::move(part));
}

void Verification::check_all_schedules(const std::string& prefix, std::int64_t vector_limit, std::int64_t most_tokens) {
  std::vector<Plan> plans =
      candidates(problem_.spec, problem_.fold, runtime_.device(), static_cast<int>(vector_limit));
  std::erase_if(plans, [&](const Plan& plan) { return !seen_.insert(text(plan.schedule())).second; });
  if (plans.empty()) return;
  const bool widest = vector_limit == problem_.fold.leaf;
  check_schedules(fmt::format("{}{} schedules, {} an access", prefix, plans.size(), vector_limit), plans,
                  widest ? Placement{} : Placement{vector_limit, vector_limit},
                  sampled(std::max<std::int64_t>(most_tokens, 257)), true);
}

void Verification::check_schedules(const std::string& name, const std::vector<Plan>& plans, Placement placement,
                                   const std::vector<std::int64_t>& tokens, bool may_be_refused) {
  VerifyPart part{.name = name, .planned = plans.size() * tokens.size()};
  Verifier verifier(runtime_, pool_, tokens.back(), placement, seed_);
  const ArgumentLayout layout(problem_.spec);
  for (std::size_t first = 0; first < plans.size(); first += plans_at_once) {
    progress_.update("schedules", first, plans.size());
    if (interrupted()) break;
    const std::span<const Plan> some = std::span(plans).subspan(first, std::min(plans_at_once, plans.size() - first));
    std::vector<std::shared_ptr<const Kernel>> kernels;
    try {
      kernels = runtime_.impl()->store().kernels(some);
    } catch (const Error&) {
      if (!may_be_refused) throw;
      for (const Plan& plan : some) kernels.push_back(kernel_or_refusal(plan, tokens, part));
    }
    for (const std::shared_ptr<const Kernel>& kernel : kernels)
      for (const std::int64_t count : tokens) {
        if (!kernel || interrupted()) break;
        const WorkBuffer workspace(verifier.queue(), kernel->workspace_bytes(count));
        const auto launch = [&](CUstream_st* stream, auto inputs, auto outputs) {
          Parameters parameters;
          layout.bind(inputs, outputs, count, parameters);
          kernel->launch(stream, parameters, count, workspace.data());
          return text(kernel->plan().schedule());
        };
        add(part, verifier.check(launch, count), count);
      }
  }
  if (!interrupted()) progress_.update("schedules", plans.size(), plans.size());
  progress_.clear();
  parts_.push_back(std::move(part));
}

/// Null for a schedule that the compiler or the device does not take: it is named in the part, and the others are compared.
std::shared_ptr<const Kernel> Verification::kernel_or_refusal(const Plan& plan, const std::vector<std::int64_t>& tokens,
                                                              VerifyPart& part) const {
  try {
    return runtime_.impl()->store().kernel(plan);
  } catch (const Error& error) {  // a compiler's is an InternalError
    part.refused.push_back({text(plan.schedule()), error.what(), tokens});
    part.planned -= tokens.size();
    return nullptr;
  }
}

}  // namespace isofold::tools
