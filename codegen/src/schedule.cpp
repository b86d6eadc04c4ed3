#include <isofold/codegen/schedule.hpp>

#include <fmt/format.h>

#include <array>

#include "key_values.hpp"

namespace isofold {
namespace {

constexpr std::array<std::string_view, 3> split_names{"none", "cluster", "workspace"};
constexpr std::array<std::string_view, 3> staging_names{"registers", "shared", "reread"};

}  // namespace

bool needs_workspace(const Schedule& schedule) {
  const auto* gpu = std::get_if<GpuSchedule>(&schedule);
  return gpu != nullptr && gpu->split == Split::workspace;
}

std::string_view name_of(Split split) { return split_names[static_cast<std::size_t>(split)]; }
std::string_view name_of(Staging staging) { return staging_names[static_cast<std::size_t>(staging)]; }

std::string text(const GpuSchedule& s) {
  return fmt::format(
      "gpu threads={} rows={} blocks={} split={} staging={} vector={} weights={} memory={} launch={} resident={}{}",
      s.threads_per_row, s.rows_per_block, s.blocks_per_row, name_of(s.split), name_of(s.staging), s.vector,
      s.early_weights ? "early" : "late", s.streaming ? "streaming" : "cached",
      s.dependent_launch ? "dependent" : "plain", s.resident_blocks,
      s.shared_calls == 0 ? "" : fmt::format(" shared_calls={}", s.shared_calls));
}

std::string text(const CpuSchedule& s) {
  return fmt::format("cpu width={} memory={}", s.width, s.streaming ? "streaming" : "cached");
}

std::string text(const Schedule& schedule) {
  return std::visit([](const auto& s) { return text(s); }, schedule);
}

Schedule parse_schedule(std::string_view text) {
  KeyValues values("schedule", text, {"gpu", "cpu"});
  if (values.head() == "cpu") {
    CpuSchedule s;
    s.width = values.number("width", 1, 64);
    s.streaming = values.choice("memory", {"cached", "streaming"}) == 1;
    values.finish();
    return s;
  }
  GpuSchedule s;
  s.threads_per_row = values.number("threads", 1, 1024);
  s.rows_per_block = values.number("rows", 1, 1024);
  s.blocks_per_row = values.number("blocks", 1, 1024);
  s.split = static_cast<Split>(values.choice("split", {split_names.begin(), split_names.end()}));
  s.staging = static_cast<Staging>(values.choice("staging", {staging_names.begin(), staging_names.end()}));
  s.vector = values.number("vector", 1, 1024);
  s.early_weights = values.choice("weights", {"late", "early"}) == 1;
  s.streaming = values.choice("memory", {"cached", "streaming"}) == 1;
  s.dependent_launch = values.choice("launch", {"plain", "dependent"}) == 1;
  s.resident_blocks = values.number("resident", 1, 64);
  if (values.has("shared_calls")) s.shared_calls = values.number("shared_calls", 1, 64);
  values.finish();
  return s;
}

}  // namespace isofold
