#pragma once
#include <isofold/codegen/device_traits.hpp>
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/schedule.hpp>
#include <isofold/codegen/spec.hpp>
#include <isofold/error.hpp>
#include <isofold/export.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace ISOFOLD_API isofold {

/// A checked (Spec, Fold, Schedule, DeviceTraits). Only `make_plan` makes one.
class Plan {
 public:
  const Spec& spec() const { return spec_; }
  const Fold& fold() const { return fold_; }
  const Schedule& schedule() const { return schedule_; }
  const DeviceTraits& device() const { return device_; }
  bool is_gpu() const { return std::holds_alternative<GpuSchedule>(schedule_); }
  const GpuSchedule& gpu() const { return std::get<GpuSchedule>(schedule_); }
  const CpuSchedule& cpu() const { return std::get<CpuSchedule>(schedule_); }
  bool operator==(const Plan&) const = default;

 private:
  friend class PlanMaker;
  Plan() = default;
  Spec spec_;
  Fold fold_;
  Schedule schedule_;
  DeviceTraits device_;
};

/// A Plan, or the rule that was broken in words.
class PlanResult {
 public:
  PlanResult(Plan plan) : value_(std::move(plan)) {}
  PlanResult(std::string rule) : value_(std::move(rule)) {}
  explicit operator bool() const { return std::holds_alternative<Plan>(value_); }
  /// The plan; throws UsageError with the broken rule when there is none.
  const Plan& value() const;
  /// The broken rule, empty when there is a plan.
  std::string broken_rule() const;

 private:
  std::variant<Plan, std::string> value_;
};

PlanResult make_plan(const Spec& spec, const Fold& fold, const Schedule& schedule, const DeviceTraits& device);

/// "<spec> | <fold> | <schedule> | <target>", where target is the architecture (sm_90) or the CPU's triple and features:
/// equal texts give byte-identical generated code.
std::string text(const Plan& plan);
std::string digest_of(const Plan& plan);

/// Numbers that follow from a GPU plan and that the emitter, the launcher and the cost model share.
struct GpuShape {
  int warps_per_row = 1;       // warps that share a row inside one block (1 when threads_per_row <= 32)
  int threads_per_segment = 32;  // min(threads_per_row, 32): a segment's lanes never leave a warp
  int segments_per_warp = 1;   // consecutive segments of one warp (or of the part of a warp that owns a row)
  int lanes_per_thread = 1;    // fold lanes held by a thread
  int rounds = 1;              // leaves per lane: ceil(leaves per segment / lanes)
  std::int64_t leaves_per_thread = 1;  // segments_per_warp * rounds * lanes_per_thread
  bool looped = false;         // too many to unroll: the rounds of a segment are a loop, and the row is read again
  int block_threads = 32;
  int shared_bytes = 0;        // static + dynamic shared memory of a block
  int staging_bytes = 0;       // dynamic part: rows staged in shared memory
  int workspace_bytes_per_row = 0;   // split == workspace
};
GpuShape gpu_shape(const Plan& plan);
inline bool needs_workspace(const Plan& plan) { return needs_workspace(plan.schedule()); }
/// Bytes of workspace that a launch over `tokens` rows needs; 0 unless rows are split through one.
std::size_t workspace_bytes(const Plan& plan, std::int64_t tokens);

/// Grid of a launch over `tokens` rows (tokens >= 1). Throws UsageError when the grid would overflow 2^31 - 1 blocks.
std::uint32_t grid_blocks(const Plan& plan, std::int64_t tokens);

}  // namespace isofold
