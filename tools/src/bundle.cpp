#include "bundle.hpp"

#include <isofold/error.hpp>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "bundle_builder.hpp"
#include "commands.hpp"
#include "files.hpp"
#include "launch_record.hpp"
#include "operator_line.hpp"
#include "output_file.hpp"

namespace isofold::tools {
namespace {

int parse_alignment(const std::string& text) {
  const std::int64_t alignment = parse_whole("--alignment", text, 1, 4096);
  if ((alignment & (alignment - 1)) != 0)
    throw UsageError(fmt::format("--alignment is {}; allowed is a power of two", alignment));
  return static_cast<int>(alignment);
}

void add_operators(BundleBuilder& builder, const BundleArguments& options, const OperatorOptions& op,
                   const std::string& tokens, const std::vector<std::string>& devices) {
  for (const Problem& problem : op.problems())
    for (const std::string& device : devices)
      builder.add(problem, device, parse_tokens(tokens), parse_alignment(options.alignment));
}

void add_list(BundleBuilder& builder, const BundleArguments& options) {
  std::size_t operators = 0;
  read_lines(options.list, "list of operators", [&](std::string_view line) {
    if (const std::size_t first = line.find_first_not_of(" \t\r"); first == line.npos || line[first] == '#') return;
    ++operators;
    const OperatorLine parsed = parse_operator_line(std::string(line));
    add_operators(builder, options, parsed.op, parsed.tokens.empty() ? options.tokens : parsed.tokens,
                  parsed.device.empty() ? options.devices : std::vector<std::string>{parsed.device});
  });
  if (operators == 0) throw UsageError(fmt::format("{} lists no operator", options.list));
}

void add_record(BundleBuilder& builder, const BundleArguments& options) {
  const std::vector<LaunchRecord> records = read_launch_records(options.from);
  if (records.empty()) throw UsageError(fmt::format("{} records no launch", options.from));
  for (const LaunchRecord& record : records) {
    std::vector<std::int64_t> tokens;
    for (const auto& [count, launches] : record.launches) tokens.push_back(count);
    for (const std::string& device : options.devices)
      builder.add({parse_spec(record.spec), parse_fold(record.fold)}, device, tokens, parse_alignment(options.alignment));
  }
}

/// What a bundle has, after every checksum in it was compared.
int check_bundle(const Console& console, const std::string& path) {
  const Bundle bundle(path);
  std::uint64_t bytes = 0;
  for (const CacheEntry& entry : bundle.read_all())
    for (const auto& [name, content] : entry.sections) bytes += content.size();
  Table table({"operator", "device", ">ranges", "chosen by"});
  Json choices = Json::array();
  for (const BundleChoice& choice : bundle.choices()) {
    const bool tuned = std::all_of(choice.ranges.begin(), choice.ranges.end(), [](const auto& r) { return r.tuned; });
    table.row({title_of(parse_spec(choice.spec)), parse_device_traits(choice.device).name,
               std::to_string(choice.ranges.size()), tuned ? "measurement" : "cost model"});
    choices.push_back({{"spec", choice.spec},
                       {"fold", choice.fold},
                       {"device", choice.device},
                       {"ranges", choice.ranges.size()},
                       {"tuned", tuned}});
  }
  table.print(console);
  console.line("{}: whole; {}, {} of code; made by {}", path,
               counted(static_cast<std::int64_t>(bundle.entries()), "kernel"), byte_count(static_cast<double>(bytes)),
               bundle.made_by());
  console.document({{"bundle", path},
                    {"made_by", bundle.made_by()},
                    {"kernels", bundle.entries()},
                    {"code_bytes", bytes},
                    {"choices", choices}});
  return exit_ok;
}

}  // namespace

int run_bundle(const Console& console, const BundleArguments& options) {
  if (!options.check.empty()) return check_bundle(console, options.check);
  catch_interrupt();
  BundleBuilder builder;
  if (!options.list.empty())
    add_list(builder, options);
  else if (!options.from.empty())
    add_record(builder, options);
  else
    add_operators(builder, options, options.op, options.tokens, options.devices);
  check_output_file(console, options.output);

  Progress progress(console);
  const BundleContent content = builder.build([&](std::size_t done, std::size_t total) {
    progress.update("build", done, total);
    return !interrupted();
  });
  progress.clear();
  Json document = {{"bundle", options.output}, {"interrupted", interrupted()}, {"kernels", content.entries.size()}};
  if (content.entries.empty()) {
    console.line("{} nothing is written", console.bad("interrupted:"));
    console.document(document);
    return exit_interrupted;
  }
  write_bundle(options.output, content);
  std::set<std::string> operators, devices;
  for (const BundleChoice& choice : content.choices) {
    operators.insert(choice.spec + choice.fold);
    devices.insert(choice.device);
  }
  const auto bytes = std::filesystem::file_size(options.output);
  console.line("{}: {} of {} for {}, {}", options.output,
               counted(static_cast<std::int64_t>(content.entries.size()), "kernel"),
               counted(static_cast<std::int64_t>(operators.size()), "operator"),
               counted(static_cast<std::int64_t>(devices.size()), "device"), byte_count(static_cast<double>(bytes)));
  console.line("use it with ISOFOLD_BUNDLES={} (and ISOFOLD_REQUIRE=bundled, where nothing may be compiled)",
               options.output);
  document["operators"] = operators.size();
  document["devices"] = std::vector<std::string>(devices.begin(), devices.end());
  document["bytes"] = bytes;
  console.document(document);
  return exit_ok;
}

}  // namespace isofold::tools
